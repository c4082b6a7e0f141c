//! A process that is killed leaves nothing half visible, and the next run ends as if nothing had happened.
//!
//! The test starts itself once for every step of a run: the child aborts at that step, as a power cut or an out-of-memory kill
//! would; the parent looks at what is left, runs the export again with the program, and compares with a run that nobody killed.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use outport::{Project, Systems};
use outport_core::context::{Cancel, Journal};
use outport_core::destination::{Destination, DestinationCaps, Intent, Receipt, Recovery};
use outport_core::environment::Environment;
use outport_core::export::{Export, ExportKey};
use outport_core::format::Format;
use outport_core::manifest::Provenance;
use outport_core::plan::Plan;
use outport_core::run::RunState;
use outport_core::source::Source;
use outport_core::value::Value;
use outport_core::{Batches, Context, Result};
use outport_runtime::execute::Outcome;
use outport_runtime::state::State;
use outport_runtime::{Observer, Parameters, process_exports};

use crate::support::object_store::Bucket;
use crate::support::{Folder, clean, python};

const RUN_DATE: &str = "2025-12-12";

/// Names the step at which the child ends, and the export that it runs.
const STEP: &str = "OUTPORT_TEST_KILL_STEP";
const EXPORT: &str = "OUTPORT_TEST_KILL_EXPORT";

/// A Delta table of two commits.
const VISITS: &str = "
import deltalake, pyarrow as pa
for start in (0, 500):
    deltalake.write_deltalake('data/visits', pa.table({'id': pa.array(range(start, start + 500))}), mode='append')
";

/// More steps than any export has: a run that is still killed then never ends.
const MOST_STEPS: u32 = 60;

#[test]
fn an_incremental_zip_in_a_folder() {
    every_step(&Place::Folder, "kill/zipped");
}

#[test]
fn a_partitioned_parquet_in_a_folder() {
    every_step(&Place::Folder, "kill/partitioned");
}

#[test]
fn parts_one_by_one_in_a_folder() {
    every_step(&Place::Folder, "kill/parts");
}

#[test]
fn the_versions_of_a_table_in_a_folder() {
    if python().is_some() {
        every_step(&Place::Folder, "kill/versions");
    }
}

#[test]
fn every_export_in_a_bucket() {
    let Some(bucket) = Bucket::start() else { return };
    let place = Place::Bucket(bucket);
    std::thread::scope(|scope| {
        for export in ["kill/zipped", "kill/partitioned", "kill/parts"] {
            scope.spawn(|| every_step(&place, export));
        }
    });
}

/// The child: does nothing unless a parent started it.
#[test]
fn child() {
    let (Ok(step), Ok(name)) = (std::env::var(STEP), std::env::var(EXPORT)) else { return };
    let steps = Steps(Arc::new(AtomicU32::new(step.parse().unwrap())));
    let work = async {
        let environment = Environment::from_variables(std::env::vars());
        let project = Project::load("outport.yml".as_ref(), environment).unwrap();
        let systems = Mortal { systems: Systems::new(&project).unwrap(), steps: steps.clone() };
        let state = project.open_state().await.unwrap();
        let mut exports = project.exports(&systems.systems).await.unwrap();
        exports.retain(|export| export.key.to_string() == name);
        let parameters = Parameters { run_date: Some(RUN_DATE.to_owned()), ..Parameters::default() };
        let summary =
            process_exports(exports, &parameters, &systems, &state, &steps, &Cancel::default()).await.unwrap();
        assert!(summary.success, "{:?}", summary.results);
    };
    tokio::runtime::Runtime::new().unwrap().block_on(work);
}

/// Where the exports go.
enum Place {
    Folder,
    Bucket(Bucket),
}

/// What there is to see: files without what differs from run to run, and the watermark.
#[derive(Debug, PartialEq)]
struct Seen {
    files: BTreeMap<String, Content>,
    watermark: Option<String>,
}

#[derive(PartialEq)]
struct Content(Vec<u8>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.0[..self.0.len().min(200)];
        write!(f, "{} bytes: {}", self.0.len(), start.escape_ascii())
    }
}

fn every_step(place: &Place, export: &str) {
    let (folder, prefix) = project(place, export, 0);
    prepare(&folder, export);
    let before = see(place, &folder, &prefix, export);
    folder.ok(&["run", export, "--run-date", RUN_DATE]);
    let expected = see(place, &folder, &prefix, export);
    assert_ne!(before, expected, "the run must change something");
    let rows = succeeded(&folder, export).pop().unwrap();

    for step in 1..MOST_STEPS {
        let (folder, prefix) = project(place, export, step);
        prepare(&folder, export);
        assert_eq!(see(place, &folder, &prefix, export), before);
        let (alive, said) = run_child(&folder, export, step);
        let at = said.lines().find(|line| line.starts_with("killed ")).unwrap_or("nothing was killed").to_owned();
        assert!(alive || at.starts_with("killed "), "{said}");

        let left = see(place, &folder, &prefix, export);
        check_left(&left, &before, &expected, &at);
        if alive {
            assert!(step > 9, "only {} steps were found", step - 1);
            assert_eq!(left, expected);
            return;
        }

        let result = folder.json(&["run", export, "--run-date", RUN_DATE])["results"][0].clone();
        let after = see(place, &folder, &prefix, export);
        assert_eq!(after.watermark, expected.watermark, "{export} {at}");
        assert_eq!(names(&after), names(&expected), "{export} {at}");
        assert_eq!(after, expected, "{export} {at}");
        assert_eq!(hidden(place, &folder, &prefix), Vec::<String>::new(), "{export} {at}");
        let log = succeeded(&folder, export);
        assert!(log.contains(&rows), "{export} {at}: {log:?}");
        if export != "kill/partitioned" {
            // A run that an earlier one is taken for tells where that one began.
            let (old, new) = if export == "kill/versions" { ("0", "1") } else { ("100", "1200") };
            let began = if left.watermark == before.watermark { old } else { new };
            assert_eq!(
                (&result["watermark_value"], &result["new_watermark_value"]),
                (&began.into(), &new.into()),
                "{export} {at}"
            );
            // Rows of an increment are counted once, however often its process died.
            assert_eq!(log.iter().sum::<i64>(), rows, "{export} {at}: {log:?}");
        }
    }
    panic!("a run has more than {MOST_STEPS} steps");
}

/// What a killed process may leave.
fn check_left(left: &Seen, before: &Seen, expected: &Seen, at: &str) {
    for (path, bytes) in &left.files {
        let old = before.files.get(path) == Some(bytes);
        let new = expected.files.get(path) == Some(bytes);
        assert!(old || new, "{at}: {path} is neither as before nor as it is to be: {bytes:?}");
    }
    let is_data = |path: &&String| !path.ends_with(".json") && !path.ends_with(".done");
    let whole = expected.files.keys().filter(is_data).all(|path| left.files.get(path) == expected.files.get(path));
    for (path, bytes) in &left.files {
        let announces = path.ends_with(".json") || path.ends_with(".done");
        let new = before.files.get(path) != Some(bytes);
        assert!(!(announces && new) || whole, "{at}: {path} is there before the data");
    }
    if let Some(trigger) = left.files.keys().find(|path| path.ends_with(".done")) {
        let manifest = expected.files.keys().find(|path| path.ends_with(".json")).unwrap();
        assert!(left.files.contains_key(manifest), "{at}: {trigger} is there before the manifest");
    }
    if left.watermark != before.watermark {
        assert_eq!(left, expected, "{at}: the watermark moved before everything was published");
    }
}

fn names(seen: &Seen) -> Vec<&String> {
    seen.files.keys().collect()
}

/// A project with enough rows that there are several parts, partitions and row groups.
fn project(place: &Place, export: &str, step: u32) -> (Folder, String) {
    let prefix = format!("{}-{step}", export.replace('/', "-"));
    let target = match place {
        Place::Folder => "{type: store, url: out}".to_owned(),
        Place::Bucket(bucket) => bucket.connection(&prefix),
    };
    let folder = Folder::new(&format!(
        r#"
temp_directory: tmp
connections:
  lake: {{type: lakehouse, url: data}}
  drop: {target}
defaults:
  source: lake
  source_table: orders
  target: drop
  target_path: "{{run_date:%Y}}"
  trigger_file_pattern: "orders_{{run_date:%Y%m%d}}.done"
exports:
  kill/zipped:
    extract_type: incremental
    incremental_column: id
    file_format: csv
    compression: zip
    max_rows_per_file: 400
    target_filename_pattern: "orders_{{run_date:%Y%m%d}}.csv"
    compressed_filename_pattern: "orders_{{run_date:%Y%m%d}}.zip"
  kill/parts:
    extract_type: incremental
    incremental_column: id
    file_format: csv
    max_rows_per_file: 200
    target_filename_pattern: "orders_{{run_date:%Y%m%d}}.csv"
    if_exists: error
    partition_by: region
  kill/versions:
    source_table: visits
    extract_type: incremental
    incremental_by: table_version
    file_format: csv
    target_filename_pattern: "visits_{{run_date:%Y%m%d}}.csv"
  kill/partitioned:
    file_format: parquet
    partition_by: region
    target_filename_pattern: "orders_{{run_date:%Y%m%d}}.parquet"
"#
    ));
    let mut csv = "id,region,amount\n".to_owned();
    for id in 1..=1200 {
        csv += &format!("{id},{},{}.5\n", ["north", "south", "west"][id % 3], id * 7 % 911);
    }
    folder.write("data/orders.csv", &csv);
    if export == "kill/versions" {
        folder.python(VISITS);
    }
    folder.write("tmp/keep", "");
    std::fs::remove_file(folder.path().join("tmp/keep")).unwrap();
    (folder, prefix)
}

/// What was there before: a watermark, and an older and smaller version of the full export.
fn prepare(folder: &Folder, export: &str) {
    if export == "kill/partitioned" {
        folder.ok(&["run", export, "--run-date", RUN_DATE, "--limit", "100"]);
        let trigger = folder.path().join("out/2025/orders_20251212.done");
        // A consumer takes the trigger away.
        let _ = std::fs::remove_file(trigger);
    } else if export == "kill/versions" {
        folder.ok(&["watermark", "set", export, "0"]);
    } else {
        let set = async |state: State| state.set_watermark(&key(export), "id", &Value::Int(100)).await.unwrap();
        with_state(folder, set);
    }
}

fn see(place: &Place, folder: &Folder, prefix: &str, export: &str) -> Seen {
    let mut files = match place {
        Place::Folder => folder.files("out"),
        Place::Bucket(bucket) => bucket.objects(prefix),
    };
    for (path, bytes) in &mut files {
        if path.ends_with("_manifest.json") {
            let mut manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let fields = manifest.as_object_mut().unwrap();
            for differs in ["run_id", "published_at"] {
                assert!(fields.remove(differs).is_some(), "no {differs} in {fields:?}");
            }
            *bytes = manifest.to_string().into_bytes();
        }
    }
    let watermark = async |state: State| state.watermark(&key(export)).await.unwrap().and_then(|w| w.watermark_value);
    let watermark = with_state(folder, watermark);
    Seen { files: files.into_iter().map(|(path, bytes)| (path, Content(bytes))).collect(), watermark }
}

/// What is there and is not to be seen: temporary files, open uploads, spilled data.
fn hidden(place: &Place, folder: &Folder, prefix: &str) -> Vec<String> {
    let mut hidden = folder.names("tmp");
    hidden.extend(folder.hidden("tmp"));
    match place {
        Place::Folder => hidden.extend(folder.hidden("out")),
        Place::Bucket(bucket) => hidden.extend(bucket.uploads(prefix)),
    }
    hidden
}

/// The rows of the runs that the log calls a success, the oldest first; the others must be called an error.
fn succeeded(folder: &Folder, export: &str) -> Vec<i64> {
    let log = with_state(folder, async |state: State| state.runs_of(&key(export), 10).await.unwrap());
    let mut rows = Vec::new();
    for run in log.into_iter().rev() {
        match run.export_state {
            RunState::Success => rows.push(run.rows_exported.unwrap()),
            RunState::Error => {}
            other => panic!("a run is left in state {other}: {run:?}"),
        }
    }
    rows
}

fn key(export: &str) -> ExportKey {
    let (group, name) = export.split_once('/').unwrap();
    ExportKey { group: group.to_owned(), name: name.to_owned() }
}

/// Asks the state directly: a call of the program for each of a thousand questions would take minutes.
fn with_state<T>(folder: &Folder, ask: impl AsyncFnOnce(State) -> T) -> T {
    let path = folder.path().join(".outport/state.db").display().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let state = State::open(&path).await.unwrap();
        let answer = ask(state.clone()).await;
        state.close().await;
        answer
    })
}

/// Whether the child came to its end, and what it said.
fn run_child(folder: &Folder, export: &str, step: u32) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    clean(&mut command, folder.path());
    let output = command
        .args(["--exact", "kill::child", "--nocapture"])
        .env(STEP, step.to_string())
        .env(EXPORT, export)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Counts the steps down and ends the process at the last one.
#[derive(Clone)]
struct Steps(Arc<AtomicU32>);

impl Steps {
    fn pass(&self, step: &str) {
        if self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
            eprintln!("killed at {step}");
            std::process::abort();
        }
    }
}

impl Observer for Steps {
    fn begun(&self, _: &Export, _: &Context) {
        self.pass("begun");
    }

    fn ended(&self, _: &Outcome) {
        self.pass("ended");
    }
}

/// The real systems, which end the process at one of their steps.
struct Mortal {
    systems: Systems,
    steps: Steps,
}

#[async_trait]
impl outport_runtime::systems::Systems for Mortal {
    async fn source(&self, connection: &str, context: &Context) -> Result<Arc<dyn Source>> {
        self.steps.pass("the source, with the lease held");
        self.systems.source(connection, context).await
    }

    fn format(&self, name: &str) -> Result<Arc<dyn Format>> {
        outport_runtime::systems::Systems::format(&self.systems, name)
    }

    async fn destination(&self, plan: &Plan, provenance: Provenance) -> Result<Arc<dyn Destination>> {
        self.steps.pass("the destination, with the plan written down");
        let inner = self.systems.destination(plan, provenance).await?;
        Ok(Arc::new(MortalDestination { inner, steps: self.steps.clone() }))
    }

    async fn recover(&self, connection: &str, intent: &Intent, context: &Context) -> Result<Recovery> {
        self.systems.recover(connection, intent, context).await
    }
}

struct MortalDestination {
    inner: Arc<dyn Destination>,
    steps: Steps,
}

#[async_trait]
impl Destination for MortalDestination {
    fn caps(&self) -> DestinationCaps {
        self.inner.caps()
    }

    async fn write(&self, batches: Batches, context: &Context) -> Result<Receipt> {
        let mut context = context.clone();
        context.journal = Arc::new(MortalJournal { inner: context.journal.clone(), steps: self.steps.clone() });
        let receipt = self.inner.write(batches, &context).await?;
        self.steps.pass("the receipt, with the books still open");
        Ok(receipt)
    }

    async fn recover(&self, intent: &Intent, context: &Context) -> Result<Recovery> {
        self.inner.recover(intent, context).await
    }
}

struct MortalJournal {
    inner: Arc<dyn Journal>,
    steps: Steps,
}

#[async_trait]
impl Journal for MortalJournal {
    async fn record(&self, intent: &Intent) -> Result<()> {
        self.steps.pass("an intent, before it is written down");
        self.inner.record(intent).await?;
        self.steps.pass("an intent, after it was written down");
        Ok(())
    }

    async fn reached(&self, step: &str) -> Result<()> {
        self.inner.reached(step).await?;
        self.steps.pass(step);
        Ok(())
    }
}
