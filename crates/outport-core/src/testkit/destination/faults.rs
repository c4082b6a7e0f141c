//! Errors, cancellation and death.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use event_listener::Event;
use futures::future::{Either, select};
use futures::stream::{self, StreamExt};

use super::{FileFixture, assert_clean, batches, content, context, layout, rows, schema, write};
use crate::context::Journal;
use crate::destination::{Intent, Recovery};
use crate::layout::Layout;
use crate::{Batches, Context, Error, ErrorKind, Result};

/// A stream that breaks leaves nothing, and what was there before stays.
pub async fn errors_in_the_stream_keep_the_old_version(fixture: &dyn FileFixture) {
    let layout = Layout { max_rows_per_file: Some(10), ..layout("broken") };
    for before in [0, 25] {
        if before > 0 {
            write(fixture, layout.clone(), 0..before).await;
        }
        let old = fixture.files("broken").await;
        let broken = stream::iter(rows(100..150).into_iter().map(Ok))
            .chain(stream::iter([Err(Error::new(ErrorKind::SourceRead, "the source broke"))]));
        let result = fixture.destination(layout.clone()).write(Batches::new(schema(), broken), &context()).await;
        let error = result.err().unwrap_or_else(|| panic!("an error in the stream was swallowed"));
        assert_eq!(error.message(), "the source broke");
        assert_eq!(fixture.files("broken").await, old, "a broken run changed what is visible");
        assert_clean(fixture, "broken", "a broken run").await;
    }
}

/// A cancelled run ends within a second, says so, and leaves nothing.
pub async fn cancel_leaves_nothing(fixture: &dyn FileFixture) {
    let context = context();
    let cancel = context.cancel.clone();
    // The stream cancels the run itself and then never goes on.
    let cancelling = stream::iter(rows(0..500).into_iter().map(Ok)).chain(stream::once(async move {
        cancel.cancel();
        futures::future::pending().await
    }));
    let began = Instant::now();
    let layout = Layout { max_rows_per_file: Some(100), ..layout("cancelled") };
    let result = fixture.destination(layout).write(Batches::new(schema(), cancelling), &context).await;
    assert_eq!(result.err().map(|e| e.kind()), Some(ErrorKind::Cancelled));
    assert!(began.elapsed() < Duration::from_secs(3), "cancelling took {:?}", began.elapsed());
    assert!(fixture.files("cancelled").await.is_empty(), "a cancelled run left files");
    assert_clean(fixture, "cancelled", "a cancelled run").await;
}

/// Nothing becomes visible that could not be written down.
pub async fn failing_journals_stop_the_run(fixture: &dyn FileFixture) {
    struct Broken;
    #[async_trait]
    impl Journal for Broken {
        async fn record(&self, intent: &Intent) -> Result<()> {
            match intent.receipt {
                Some(_) => Err(Error::new(ErrorKind::State, "the state is gone")),
                None => Ok(()),
            }
        }
    }
    let context = Context { journal: Arc::new(Broken), ..context() };
    let result = fixture.destination(layout("unwritten")).write(batches(0..10), &context).await;
    assert_eq!(result.err().map(|e| e.kind()), Some(ErrorKind::State));
    assert!(fixture.files("unwritten").await.is_empty());
    assert_clean(fixture, "unwritten", "a run without books").await;
}

/// A run that dies at any step is finished or undone by recovery, and the next run ends as if nothing had happened.
///
/// Death is a journal that never returns and a run that is dropped: nothing of the run's own clean-up happens.
pub async fn runs_that_die_are_finished_or_undone(fixture: &dyn FileFixture) {
    for (name, limit) in [("die-one", None), ("die-many", Some(10))] {
        let of = |folder: &str| Layout {
            max_rows_per_file: limit,
            trigger_name: Some("orders.done".to_owned()),
            ..layout(folder)
        };
        // A first life without death tells the steps there are.
        let steps = Steps::new(None);
        let rehearsal =
            fixture.destination(of(&format!("{name}-rehearsal"))).write(batches(0..25), &steps.context()).await;
        rehearsal.unwrap_or_else(|e| panic!("{e}"));
        for (at, step) in steps.reached().iter().enumerate() {
            let folder = format!("{name}-{at}");
            let when = format!("{name}, death at step {at} ({step})");
            // Shorter lines and another number of parts than what follows.
            write(fixture, of(&folder), 0..15).await;
            let old = content(fixture, &folder).await;

            let dying = Steps::new(Some(at));
            let context = dying.context();
            let destination = fixture.destination(of(&folder));
            let run = destination.write(batches(1000..1025), &context);
            match select(run, Box::pin(dying.died())).await {
                Either::Left((result, _)) => panic!("{when}: the run ended with {result:?}"),
                Either::Right(((), run)) => drop(run),
            }
            // Threads of the dead run that have not noticed yet are given the time to.
            settle(fixture, &folder).await;

            let intent = dying.intent().unwrap_or_else(|| panic!("{when}: nothing was written down"));
            let recovery = fixture.destination(of(&folder)).recover(&intent, &super::context()).await;
            let new: BTreeMap<String, Vec<i64>> = expected(&folder, limit);
            match recovery.unwrap_or_else(|e| panic!("{when}: recovery failed: {e} {:?}", e.causes())) {
                Recovery::Published(receipt) => {
                    assert_eq!(content(fixture, &folder).await, new, "{when}: published, but something else is there");
                    assert_eq!(receipt.rows, 25, "{when}");
                    assert!(fixture.files(&folder).await.contains_key(&format!("{folder}/orders.done")), "{when}");
                }
                Recovery::RolledBack(_) => {
                    assert_eq!(
                        content(fixture, &folder).await,
                        old,
                        "{when}: rolled back, but the old version is not there"
                    );
                }
            }
            assert_clean(fixture, &folder, &when).await;
            write(fixture, of(&folder), 1000..1025).await;
            assert_eq!(content(fixture, &folder).await, new, "{when}: the rerun");
            assert_clean(fixture, &folder, "the rerun").await;
        }
    }
}

/// What 25 rows from 1000 on are in files.
fn expected(folder: &str, limit: Option<u64>) -> BTreeMap<String, Vec<i64>> {
    match limit {
        None => [(format!("{folder}/orders.csv"), (1000..1025).collect())].into(),
        Some(_) => [(1, 1000..1010), (2, 1010..1020), (3, 1020..1025)]
            .map(|(n, ids)| (format!("{folder}/orders_part{n:04}.csv"), ids.collect()))
            .into(),
    }
}

/// Waits until two looks at what is hidden show the same.
async fn settle(fixture: &dyn FileFixture, folder: &str) {
    let mut before = fixture.hidden(folder).await;
    for _ in 0..20 {
        let (sender, receiver) = futures::channel::oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            // The receiver waits for nothing else.
            let _ = sender.send(());
        });
        let _ = receiver.await;
        let now = fixture.hidden(folder).await;
        if now == before {
            return;
        }
        before = now;
    }
}

/// A journal that knows what was recorded and reached, and may never return from one step.
#[derive(Clone)]
pub(super) struct Steps(Arc<StepsState>);

struct StepsState {
    dies_at: Option<usize>,
    reached: Mutex<Vec<String>>,
    intent: Mutex<Option<Intent>>,
    died: Event,
}

impl Steps {
    pub(super) fn new(dies_at: Option<usize>) -> Self {
        let state = StepsState { dies_at, reached: Mutex::default(), intent: Mutex::default(), died: Event::new() };
        Self(Arc::new(state))
    }

    pub(super) fn context(&self) -> Context {
        Context { journal: Arc::new(self.clone()), ..context() }
    }

    pub(super) fn reached(&self) -> Vec<String> {
        self.0.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn intent(&self) -> Option<Intent> {
        self.0.intent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn dead(&self) -> bool {
        self.0.dies_at.is_some_and(|at| self.reached().len() > at)
    }

    async fn died(&self) {
        loop {
            let listener = self.0.died.listen();
            if self.dead() {
                return;
            }
            listener.await;
        }
    }
}

#[async_trait]
impl Journal for Steps {
    async fn record(&self, intent: &Intent) -> Result<()> {
        if self.dead() {
            // The dead write nothing down.
            futures::future::pending::<()>().await;
        }
        *self.0.intent.lock().unwrap_or_else(PoisonError::into_inner) = Some(intent.clone());
        Ok(())
    }

    async fn reached(&self, step: &str) -> Result<()> {
        self.0.reached.lock().unwrap_or_else(PoisonError::into_inner).push(step.to_owned());
        if self.dead() {
            self.0.died.notify(usize::MAX);
            futures::future::pending::<()>().await;
        }
        Ok(())
    }
}
