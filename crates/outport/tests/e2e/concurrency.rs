//! Exports of one execution group run at the same time, as many as they may and no more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use outport::{Project, Systems};
use outport_core::context::Cancel;
use outport_core::destination::{Destination, DestinationCaps, Intent, Receipt, Recovery};
use outport_core::environment::Environment;
use outport_core::export::Export;
use outport_core::format::Format;
use outport_core::manifest::Provenance;
use outport_core::plan::Plan;
use outport_core::source::Source;
use outport_core::{Batches, Context, Error, ErrorKind, Result};
use outport_runtime::execute::Outcome;
use outport_runtime::{Observer, Parameters, Summary, process_exports};
use tokio::sync::Barrier;

use crate::support::Folder;

/// What goes on, as the runs tell it.
#[derive(Default)]
struct Watch {
    /// The exports in the order in which they began and ended, `+a` and `-a`.
    events: Mutex<Vec<String>>,
}

impl Watch {
    fn add(&self, event: String) {
        self.events.lock().unwrap().push(event);
    }

    /// The largest number of exports that were begun and not ended.
    fn most(&self) -> usize {
        let (mut now, mut most) = (0_usize, 0);
        for event in self.events.lock().unwrap().iter() {
            now = if event.starts_with('+') { now + 1 } else { now - 1 };
            most = most.max(now);
        }
        most
    }
}

impl Observer for Watch {
    fn begun(&self, export: &Export, _: &Context) {
        self.add(format!("+{}", export.key.name));
    }

    fn ended(&self, outcome: &Outcome) {
        self.add(format!("-{}", outcome.export_name));
    }
}

/// The real systems, whose destinations do not write before as many others are about to as the barrier wants.
struct Meeting {
    systems: Systems,
    barrier: Arc<Barrier>,
}

#[async_trait]
impl outport_runtime::systems::Systems for Meeting {
    async fn source(&self, connection: &str, context: &Context) -> Result<Arc<dyn Source>> {
        self.systems.source(connection, context).await
    }

    fn format(&self, name: &str) -> Result<Arc<dyn Format>> {
        outport_runtime::systems::Systems::format(&self.systems, name)
    }

    async fn destination(&self, plan: &Plan, provenance: Provenance) -> Result<Arc<dyn Destination>> {
        let inner = self.systems.destination(plan, provenance).await?;
        Ok(Arc::new(MeetingDestination { inner, barrier: self.barrier.clone() }))
    }

    async fn recover(&self, connection: &str, intent: &Intent, context: &Context) -> Result<Recovery> {
        self.systems.recover(connection, intent, context).await
    }
}

struct MeetingDestination {
    inner: Arc<dyn Destination>,
    barrier: Arc<Barrier>,
}

#[async_trait]
impl Destination for MeetingDestination {
    fn caps(&self) -> DestinationCaps {
        self.inner.caps()
    }

    async fn write(&self, batches: Batches, context: &Context) -> Result<Receipt> {
        let met = tokio::time::timeout(Duration::from_secs(30), self.barrier.wait()).await;
        met.map_err(|_| Error::new(ErrorKind::Internal, "no other export writes at the same time"))?;
        self.inner.write(batches, context).await
    }

    async fn recover(&self, intent: &Intent, context: &Context) -> Result<Recovery> {
        self.inner.recover(intent, context).await
    }
}

/// Runs six exports of a first group and two of a second, of which always `together` have to write at the same time.
fn run(max_concurrency: usize, together: usize) -> (Summary, Watch) {
    let mut exports = String::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        exports += &format!("  t/{name}: {{execution_group: 1}}\n");
    }
    exports += "  t/x: {execution_group: 2}\n  t/y: {execution_group: 2}\n";
    let folder = Folder::new(&format!(
        "connections: {{lake: {{type: lakehouse, url: data}}, out: {{type: store, url: out}}}}\n\
         defaults: {{source: lake, source_table: rows, target: out, target_path: t, file_format: csv, \
         target_filename_pattern: \"{{export_name}}.csv\"}}\nexports:\n{exports}"
    ));
    folder.write("data/rows.csv", "id\n1\n2\n");
    let watch = Watch::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let summary = runtime.block_on(async {
        let environment = Environment::from_variables(Vec::<(String, String)>::new());
        let project = Project::load(&folder.path().join("outport.yml"), environment).unwrap();
        let systems = Systems::new(&project).unwrap();
        let exports = project.exports(&systems).await.unwrap();
        let state = project.open_state().await.unwrap();
        let systems = Meeting { systems, barrier: Arc::new(Barrier::new(together)) };
        let parameters = Parameters { max_concurrency, ..Parameters::default() };
        let summary =
            process_exports(exports, &parameters, &systems, &state, &watch, &Cancel::default()).await.unwrap();
        state.close().await;
        summary
    });
    assert_eq!(folder.names("out").iter().filter(|name| name.ends_with(".csv")).count(), summary.successful);
    (summary, watch)
}

#[test]
fn exports_of_a_group_overlap_up_to_the_limit() {
    let (summary, watch) = run(2, 2);
    assert!(summary.success, "{:?}", summary.results);
    assert_eq!(watch.most(), 2, "{:?}", watch.events);
    // A group begins when the one before it has ended.
    let events = watch.events.into_inner().unwrap();
    let first = events.iter().position(|event| event == "+x" || event == "+y").unwrap();
    assert_eq!(events[..first].iter().filter(|event| event.starts_with('-')).count(), 6, "{events:?}");
}

#[test]
fn one_at_a_time_is_one_at_a_time() {
    let (summary, watch) = run(1, 1);
    assert!(summary.success, "{:?}", summary.results);
    assert_eq!(watch.most(), 1, "{:?}", watch.events);
}
