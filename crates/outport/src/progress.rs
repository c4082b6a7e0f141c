//! What a run shows of itself while it goes on.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use outport_core::Context;
use outport_core::context::Progress;
use outport_core::export::Export;
use outport_runtime::Observer;
use outport_runtime::execute::Outcome;

use crate::printer::{Printer, bytes, thousands};

/// How often a line is written where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Bars on a terminal, lines elsewhere.
pub struct Display {
    printer: Printer,
    bars: Option<MultiProgress>,
    running: Arc<Mutex<HashMap<String, Shown>>>,
    ticker: tokio::task::JoinHandle<()>,
}

struct Shown {
    progress: Arc<Progress>,
    since: Instant,
    bar: Option<ProgressBar>,
}

impl Display {
    /// A display; it ticks until it is dropped.
    pub fn new(printer: Printer) -> Self {
        let bars = (printer.draws_progress() && std::io::stderr().is_terminal()).then(MultiProgress::new);
        let running: Arc<Mutex<HashMap<String, Shown>>> = Arc::default();
        let every = if bars.is_some() { Duration::from_millis(120) } else { HEARTBEAT };
        let (shown, lines) = (running.clone(), printer.clone());
        let ticker = tokio::spawn(async move {
            let mut interval = tokio::time::interval(every);
            interval.tick().await;
            loop {
                interval.tick().await;
                for (name, shown) in lock(&shown).iter() {
                    let text = describe(&shown.progress, shown.since.elapsed());
                    match &shown.bar {
                        Some(bar) => {
                            bar.set_message(text);
                            bar.tick();
                        }
                        None => lines.note(&format!("{name}: {text}")),
                    }
                }
            }
        });
        Self { printer, bars, running, ticker }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

impl Display {
    /// Shows the counters of `context` under a name until [`Display::end`].
    pub fn begin(&self, name: &str, context: &Context) {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{spinner} {prefix} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(name.to_owned());
            bar
        });
        let shown = Shown { progress: context.progress.clone(), since: Instant::now(), bar };
        lock(&self.running).insert(name.to_owned(), shown);
    }

    /// What was shown under a name has ended; `say` writes what there is to say of it.
    pub fn end(&self, name: &str, say: impl FnOnce(&Printer)) {
        if let Some(Shown { bar: Some(bar), .. }) = lock(&self.running).remove(name) {
            bar.finish_and_clear();
        }
        match &self.bars {
            Some(bars) => bars.suspend(|| say(&self.printer)),
            None => say(&self.printer),
        }
    }
}

impl Observer for Display {
    fn begun(&self, export: &Export, context: &Context) {
        self.begin(&export.key.to_string(), context);
    }

    fn ended(&self, outcome: &Outcome) {
        let name = format!("{}/{}", outcome.export_group_name, outcome.export_name);
        self.end(&name, |printer| match &outcome.error {
            Some(error) => printer.error(error),
            None => {
                for warning in &outcome.warnings {
                    printer.note(&format!("warning: {name}: {warning}"));
                }
            }
        });
    }
}

fn lock(running: &Mutex<HashMap<String, Shown>>) -> std::sync::MutexGuard<'_, HashMap<String, Shown>> {
    running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// `1,200,000 rows of ~6,000,000  45.1 MiB  12.3 MiB/s  2 files  ~0:41 left`; what is estimated has a tilde.
fn describe(progress: &Progress, elapsed: Duration) -> String {
    let rows = progress.rows_written.load(Relaxed).max(progress.rows_read.load(Relaxed));
    let written = progress.bytes_written.load(Relaxed);
    let files = progress.files.load(Relaxed);
    let estimate = progress.rows_estimate.load(Relaxed);
    let seconds = elapsed.as_secs_f64().max(0.001);
    let of = if estimate > 0 { format!(" of ~{}", thousands(estimate)) } else { String::new() };
    let mut text =
        format!("{} rows{of}  {}  {}/s", thousands(rows), bytes(written), bytes((written as f64 / seconds) as u64));
    if files > 0 {
        text.push_str(&format!("  {files} files"));
    }
    // Below a twentieth of the rows the guess would be worth nothing.
    if estimate > rows && rows > estimate / 20 {
        let left = (seconds * (estimate - rows) as f64 / rows as f64) as u64;
        text.push_str(&format!("  ~{}:{:02} left", left / 60, left % 60));
    }
    text
}
