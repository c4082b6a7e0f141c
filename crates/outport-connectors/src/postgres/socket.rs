//! The socket under a session: TCP, Unix or TLS, and the handle that ends it from another thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use outport_core::{Error, ErrorKind, Result};
use postgres_protocol::message::frontend;
use rustls::{ClientConnection, StreamOwned};

use super::config::SslMode;
use super::settings::Settings;
use super::tls;

/// A connection to the server that blocks.
pub(super) enum Socket {
    Plain(Transport),
    Tls(Box<StreamOwned<ClientConnection, Transport>>),
}

/// What bytes travel over.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Socket {
    /// Connects and, as `sslmode` asks, negotiates TLS.
    pub(super) fn connect(settings: &Settings) -> Result<(Self, Address)> {
        let (mut transport, address) = Transport::connect_any(settings)?;
        let encrypted = settings.sslmode != SslMode::Disable && matches!(address, Address::Tcp(_));
        if !encrypted {
            return Ok((Self::Plain(transport), address));
        }
        let failed = |e: io::Error| unreachable(settings, &e);
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        transport.write_all(&request).map_err(failed)?;
        let mut answer = [0];
        transport.read_exact(&mut answer).map_err(failed)?;
        match answer[0] {
            b'S' => {
                let mut stream = StreamOwned::new(tls::client(settings)?, transport);
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock).map_err(|e| handshake_failed(settings, &e))?;
                }
                Ok((Self::Tls(Box::new(stream)), address))
            }
            _ if settings.sslmode == SslMode::Prefer => Ok((Self::Plain(transport), address)),
            _ => Err(Error::new(
                ErrorKind::Connection,
                format!("{} does not accept encrypted connections", settings.server()),
            )
            .hint("set `sslmode: prefer` or `disable` if the network is trusted, or switch `ssl` on in the server")
            .retryable(false)),
        }
    }

    /// The handle that ends the connection from another thread.
    pub(super) fn transport(&self) -> &Transport {
        match self {
            Self::Plain(transport) => transport,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Transport {
    fn connect_any(settings: &Settings) -> Result<(Self, Address)> {
        let timeout = settings.connect_timeout;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in addresses(settings)? {
            match Self::connect(&address, timeout) {
                Ok(transport) => return Ok((transport, address)),
                Err(error) => last = error,
            }
        }
        Err(unreachable(settings, &last))
    }

    fn connect(address: &Address, timeout: Duration) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, timeout)?;
                stream.set_nodelay(true)?;
                // A server that dies without a word is noticed within a minute or two instead of never.
                let keepalive = socket2::TcpKeepalive::new()
                    .with_time(Duration::from_secs(60))
                    .with_interval(Duration::from_secs(10));
                socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                Ok(Self::Tcp(stream))
            }
            #[cfg(unix)]
            Address::Unix(path) => std::os::unix::net::UnixStream::connect(path).map(Self::Unix),
        }
    }

    /// Limits how long a read may wait; without limit where there is none.
    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    fn shutdown(&self) {
        // Fails only where the connection is gone already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

fn addresses(settings: &Settings) -> Result<Vec<Address>> {
    #[cfg(unix)]
    if settings.host.starts_with('/') {
        let path = std::path::Path::new(&settings.host).join(format!(".s.PGSQL.{}", settings.port));
        return Ok(vec![Address::Unix(path)]);
    }
    let found = (settings.host.as_str(), settings.port).to_socket_addrs().map_err(|e| unreachable(settings, &e))?;
    Ok(found.map(Address::Tcp).collect())
}

pub(super) fn unreachable(settings: &Settings, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "check host and port, and that the server runs and listens there (`listen_addresses`)"
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "check host and port, and the firewall between here and there"
        }
        _ => "check the host name, the port and the network",
    };
    Error::new(ErrorKind::Connection, format!("cannot connect to PostgreSQL at {}: {error}", settings.server()))
        .hint(hint)
}

fn handshake_failed(settings: &Settings, error: &io::Error) -> Error {
    Error::new(ErrorKind::Connection, format!("the TLS handshake with {} failed: {error}", settings.server()))
        .hint("under verify-ca and verify-full the server's certificate must come from an authority in `sslrootcert`, and under verify-full name the host")
        .retryable(false)
}

/// Ends a session from another thread: the server gets a cancel request and the socket is shut, so that whoever blocks on
/// it wakes up. Clones share the session.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<Mutex<InterruptState>>);

#[derive(Debug, Default)]
struct InterruptState {
    raised: bool,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    transport: Transport,
    address: Address,
    timeout: Duration,
    process_id: i32,
    secret_key: i32,
}

impl Interrupt {
    /// Ends every session that was or will be put under this interrupt. Does not block.
    pub(super) fn raise(&self) {
        let running = {
            let mut state = self.lock();
            state.raised = true;
            std::mem::take(&mut state.running)
        };
        if running.is_empty() {
            return;
        }
        let end = move || {
            for one in running {
                one.end();
            }
        };
        // Without a thread to spare the sockets stay open until their sessions next send or receive; nothing else to be done.
        let _ = std::thread::Builder::new().name("postgres-cancel".to_owned()).spawn(end);
    }

    /// Whether it was raised.
    pub(super) fn is_raised(&self) -> bool {
        self.lock().raised
    }

    /// Puts a session under this interrupt; an error where it was raised already.
    pub(super) fn watch(&self, socket: &Socket, address: &Address, timeout: Duration, key: (i32, i32)) -> Result<()> {
        let transport =
            socket.transport().try_clone().map_err(|e| outport_core::error::from_io(ErrorKind::Connection, e))?;
        let mut state = self.lock();
        if state.raised {
            return Err(cancelled());
        }
        state.running.push(Running {
            transport,
            address: address.clone(),
            timeout,
            process_id: key.0,
            secret_key: key.1,
        });
        Ok(())
    }

    /// Takes a session that ended from under this interrupt.
    pub(super) fn forget(&self, process_id: i32) {
        self.lock().running.retain(|r| r.process_id != process_id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, InterruptState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn end(self) {
        // The request goes over a connection of its own, unencrypted, as libpq sends it: it holds no secret but a number
        // that ends with the session. Where it fails, the closed socket ends the session at the server's next write.
        if let Ok(mut transport) = Transport::connect(&self.address, self.timeout) {
            let mut request = BytesMut::new();
            frontend::cancel_request(self.process_id, self.secret_key, &mut request);
            // The server closes the connection once it has passed the request on.
            let _ = transport.write_all(&request).and_then(|()| transport.read(&mut [0]));
        }
        self.transport.shutdown();
    }
}

/// The error of work that was called off.
pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled")
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(transport) => transport.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(transport) => transport.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(transport) => transport.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.flush(),
        }
    }
}
