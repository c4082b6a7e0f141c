//! Ctrl-C and a request to stop: the first asks the runs to stop, the second does not wait for them.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use outport_core::ErrorKind;
use outport_core::context::Cancel;

use crate::printer::Printer;

/// How long runs have to clean up.
const GRACE: Duration = Duration::from_secs(30);

static EXIT_CODE: AtomicU8 = AtomicU8::new(0);

/// The exit code of the signal that came, if one came.
pub fn exit_code() -> Option<u8> {
    match EXIT_CODE.load(Ordering::SeqCst) {
        0 => None,
        code => Some(code),
    }
}

/// Waits for signals; ends the process at the second one or after the grace period.
pub async fn watch(cancel: Cancel, printer: Printer) {
    let code = next().await;
    EXIT_CODE.store(code, Ordering::SeqCst);
    cancel.cancel();
    printer.note("stopping: nothing unfinished is published; once more to stop at once");
    tokio::select! {
        _ = next() => {}
        () = tokio::time::sleep(GRACE) => printer.note("the runs did not stop in 30 s"),
    }
    end(code);
}

/// The next signal's exit code: 130 for SIGINT, 143 for SIGTERM.
#[cfg(unix)]
async fn next() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => ErrorKind::Cancelled.exit_code(),
            _ = terminate.recv() => 143,
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
            ErrorKind::Cancelled.exit_code()
        }
    }
}

#[cfg(not(unix))]
async fn next() -> u8 {
    let _ = tokio::signal::ctrl_c().await;
    ErrorKind::Cancelled.exit_code()
}

#[allow(clippy::exit, reason = "the user asked twice, or the runs hang: there is no one to return to")]
fn end(code: u8) -> ! {
    std::process::exit(code.into())
}
