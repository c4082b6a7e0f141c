//! Where OpenLineage events go: a file of JSON lines, or a server.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use outport_core::error::from_io;
use outport_core::secret::redact_url;
use outport_core::{Error, ErrorKind, Result};
use outport_warehouse::lineage::Sink;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::printer::Printer;

/// How long a server may take for one event.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes events; a run never fails for want of them.
pub(super) struct Events {
    target: Target,
    printer: Printer,
}

enum Target {
    Nowhere,
    File(Mutex<std::fs::File>),
    Server(mpsc::UnboundedSender<Value>, JoinHandle<()>),
}

impl Events {
    /// Events to `target`: nothing, a path, or the URL of a server, to whose `/api/v1/lineage` they are posted where it names no
    /// path of its own.
    pub(super) fn open(target: Option<&str>, key: Option<String>, printer: Printer) -> Result<Self> {
        let target = match target {
            None => Target::Nowhere,
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                let wrong = |e: &dyn std::fmt::Display| {
                    Error::new(ErrorKind::Config, format!("{} is no URL for events: {e}", redact_url(url)))
                };
                let mut endpoint = url::Url::parse(url).map_err(|e| wrong(&e))?;
                if endpoint.path() == "/" {
                    endpoint.set_path("/api/v1/lineage");
                }
                let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|e| wrong(&e))?;
                let (sender, receiver) = mpsc::unbounded_channel();
                Target::Server(sender, tokio::spawn(post(client, endpoint, key, receiver, printer.clone())))
            }
            Some(path) => {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
                Target::File(Mutex::new(file.map_err(|e| from_io(ErrorKind::Write, e).context(path.to_owned()))?))
            }
        };
        Ok(Self { target, printer })
    }

    /// Whether anybody wants events.
    pub(super) fn wanted(&self) -> bool {
        !matches!(self.target, Target::Nowhere)
    }

    /// Waits until all events are sent.
    pub(super) async fn finish(self) {
        if let Target::Server(sender, task) = self.target {
            drop(sender);
            // The task reports its own errors.
            let _ = task.await;
        }
    }
}

impl Sink for Events {
    fn send(&self, event: Value) -> Result<()> {
        match &self.target {
            Target::Nowhere => Ok(()),
            Target::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                writeln!(file, "{event}").map_err(|e| from_io(ErrorKind::Write, e))
            }
            Target::Server(sender, _) => sender
                .send(event)
                .map_err(|_| Error::new(ErrorKind::Connection, "the server of lineage events did not answer before")),
        }
    }

    fn failed(&self, error: &Error) {
        self.printer.note(&format!("warning: a lineage event was not written: {error}"));
    }
}

/// Posts events one after the other. After the first failure the others are dropped: a server that is gone must not hold up a run.
async fn post(
    client: reqwest::Client,
    endpoint: url::Url,
    key: Option<String>,
    mut events: mpsc::UnboundedReceiver<Value>,
    printer: Printer,
) {
    while let Some(event) = events.recv().await {
        let mut request =
            client.post(endpoint.clone()).header("content-type", "application/json").body(event.to_string());
        if let Some(key) = &key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        if let Err(error) = answer {
            printer.note(&format!("warning: lineage events are not sent: {}", error.without_url()));
            return;
        }
    }
}
