//! A network between the program and a server, which breaks as a test wants it to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens to what the program sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Network {
    /// It arrives.
    Whole,
    /// The connection that carries this byte, counted over all of them, is reset; whatever comes after arrives.
    CutOnce(usize),
    /// Every connection is reset once it has carried more bytes than this.
    CutAlways(usize),
    /// After that many bytes, counted over all connections, there is no network any more.
    Gone(usize),
    /// After that many bytes, counted over all connections, nothing moves.
    Still(usize),
}

/// A proxy in front of a server of this machine.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    network: Network,
    sent: usize,
    cuts: usize,
    stopped: bool,
}

impl Proxy {
    pub(crate) fn start(server: u16, network: Network) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { network, sent: 0, cuts: 0, stopped: false };
        let proxy = Self { port, shared: Arc::new((Mutex::new(state), Condvar::new())) };
        let accepting = proxy.clone();
        std::thread::spawn(move || {
            // The thread ends with the test.
            for client in listener.incoming().flatten() {
                let proxy = accepting.clone();
                std::thread::spawn(move || proxy.carry(client, server));
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many connections were reset.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.0.lock().unwrap().cuts
    }

    /// Waits until the network stands still.
    pub(crate) fn wait_until_still(&self) {
        let (state, changed) = &*self.shared;
        let (_state, waited) =
            changed.wait_timeout_while(state.lock().unwrap(), Duration::from_secs(60), |state| !state.stopped).unwrap();
        assert!(!waited.timed_out(), "too little was sent");
    }

    /// Makes the network whole again.
    pub(crate) fn mend(&self) {
        let (state, changed) = &*self.shared;
        state.lock().unwrap().network = Network::Whole;
        changed.notify_all();
    }

    fn carry(&self, mut client: TcpStream, server: u16) {
        let Ok(mut upstream) = TcpStream::connect(("127.0.0.1", server)) else { return };
        let (mut answers, mut back) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            // Either side may have gone.
            let _ = std::io::copy(&mut answers, &mut back);
            let _ = back.shutdown(Shutdown::Write);
        });
        let mut own = 0;
        let mut buffer = [0; 1 << 14];
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            own += read;
            if !self.passes(read, own) || upstream.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = upstream.shutdown(Shutdown::Both);
        // What the client still sends finds nobody, and that resets the connection.
        let _ = client.shutdown(Shutdown::Both);
    }

    /// Whether bytes get through; waits where nothing moves.
    fn passes(&self, bytes: usize, own: usize) -> bool {
        let (state, changed) = &*self.shared;
        let mut state = state.lock().unwrap();
        let before = state.sent;
        state.sent += bytes;
        let cut = match state.network {
            Network::Whole => false,
            Network::CutOnce(at) => before < at && state.sent >= at,
            Network::CutAlways(at) => own > at,
            Network::Gone(at) => state.sent >= at,
            Network::Still(at) => {
                if state.sent >= at {
                    state.stopped = true;
                    changed.notify_all();
                    let still = |state: &mut State| state.network != Network::Whole;
                    drop(changed.wait_while(state, still).unwrap());
                }
                return true;
            }
        };
        state.cuts += usize::from(cut);
        !cut
    }
}
