//! The state, in each of its databases. Every scenario gets the URL of an empty one.

#![allow(clippy::print_stderr, clippy::print_stdout)]

mod support;
#[path = "support/upgrade.rs"]
mod upgrade;

use std::io::{BufRead, BufReader};
use std::time::Duration;

use outport_core::ErrorKind;
use outport_core::context::{Journal, Warning};
use outport_core::destination::Intent;
use outport_core::plan::KeptColumn;
use outport_core::run::RunState;
use outport_core::value::Value;
use outport_core::version::TableVersion;
use outport_runtime::state::{HistoryFilter, State};
use support::{child, failure, key, plan, receipt, start};
use uuid::Uuid;

/// Makes one test of each scenario on SQLite, and one of all of them on PostgreSQL, which has to start but once.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                super::$name(&folder.path().join("new folder/state.db").to_string_lossy()).await;
            })*
        }

        #[tokio::test]
        async fn postgres() {
            let Some(server) = support::Server::start() else { return };
            $(eprintln!("postgres: {}", stringify!($name));
            $name(&server.database(stringify!($name))).await;)*
        }
    };
}

scenarios!(
    a_success_is_logged_and_moves_the_watermark,
    warnings_are_a_state_of_their_own,
    a_failure_is_logged_and_moves_nothing,
    watermarks_keep_their_type_and_their_history,
    a_second_run_is_refused_and_told_who_runs,
    a_lost_lease_closes_no_books,
    dead_runs_are_found_and_closed,
    a_killed_process_frees_its_export,
    processes_take_turns,
    failed_exports_of_an_execution_are_found,
    history_and_status_select,
    a_run_is_found_by_the_beginning_of_its_id,
    an_illegal_step_changes_nothing,
    a_reset_keeps_the_columns,
    variables_are_kept_with_the_execution,
    opening_at_once_upgrades_once,
);

async fn open(url: &str) -> State {
    State::open(url).await.unwrap()
}

fn date(text: &str) -> Value {
    Value::Timestamp(text.parse().unwrap())
}

/// A run of `name` that holds its lease and is planned to move the watermark to `watermark`.
async fn running(state: &State, name: &str, execution: &str, watermark: Option<Value>) -> outport_core::plan::Plan {
    let run = start(&key(name), execution);
    state.begin_run(&run).await.unwrap();
    state.acquire_lease(&run.key, run.run_id).await.unwrap();
    let plan = plan(&run.key, run.run_id, watermark);
    state.planned(&plan).await.unwrap();
    plan
}

async fn a_success_is_logged_and_moves_the_watermark(url: &str) {
    let state = open(url).await;
    let run = start(&key("orders"), "e1");
    state.begin_run(&run).await.unwrap();
    assert_eq!(state.run(run.run_id).await.unwrap().unwrap().export_state, RunState::Pending);
    state.acquire_lease(&run.key, run.run_id).await.unwrap();
    assert_eq!(state.run(run.run_id).await.unwrap().unwrap().export_state, RunState::Running);
    let plan = plan(&run.key, run.run_id, Some(date("2025-12-12T10:00:00.25")));
    state.planned(&plan).await.unwrap();
    assert!(state.last(&run.key).await.unwrap().watermark.is_none(), "nothing moves before the receipt");
    state.journal().record(&Intent { run_id: run.run_id, ..Intent::default() }).await.unwrap();
    state.finish_success(&plan, &receipt(), &[]).await.unwrap();

    let logged = state.run(run.run_id).await.unwrap().unwrap();
    assert_eq!(logged.export_state, RunState::Success);
    assert_eq!((logged.rows_exported, logged.files_created, logged.total_bytes), (Some(7), Some(1), Some(90)));
    assert_eq!(logged.file_paths, ["sales/2025/orders.csv"]);
    assert_eq!(logged.trigger_file_path.as_deref(), Some("sales/2025/orders.done"));
    assert_eq!(logged.watermark_value.as_deref(), Some("2025-12-11T00:00:00"), "the lower bound, as documented");
    assert_eq!(logged.target_path.as_deref(), Some("sales/2025"));
    assert_eq!(logged.period_end_date.as_deref(), Some("2025-12-31T00:00:00"));
    assert!(logged.completed_at.unwrap() >= logged.started_at && logged.duration_ms.unwrap() >= 0);

    let last = state.last(&run.key).await.unwrap();
    assert_eq!(last.watermark, Some(date("2025-12-12T10:00:00.25")));
    assert_eq!(last.fingerprint.as_deref(), Some("f1"));
    let columns = [support::column("id", "Int64"), support::column("name", "Utf8")].map(KeptColumn::Typed);
    assert_eq!(last.columns.unwrap(), columns);
    let record = state.watermark(&run.key).await.unwrap().unwrap();
    assert_eq!(record.run_id, Some(run.run_id));
    assert_eq!(record.watermark_value.as_deref(), Some("2025-12-12T10:00:00.25"));
    assert!(state.dead_runs(&run.key).await.unwrap().is_empty());
    // The lease went with the success.
    running(&state, "orders", "e2", None).await;
    state.close().await;

    let again = open(url).await;
    assert_eq!(again.last(&run.key).await.unwrap().watermark, Some(date("2025-12-12T10:00:00.25")));
}

async fn warnings_are_a_state_of_their_own(url: &str) {
    let state = open(url).await;
    let plan = running(&state, "orders", "e1", None).await;
    let warning = Warning { code: "trigger_failed".into(), column: None, message: "no trigger".into() };
    state.finish_success(&plan, &receipt(), &[(warning, 1)]).await.unwrap();
    assert_eq!(state.run(plan.run_id).await.unwrap().unwrap().export_state, RunState::Warning);
}

async fn a_failure_is_logged_and_moves_nothing(url: &str) {
    let state = open(url).await;
    let plan = running(&state, "orders", "e1", Some(Value::Int(5))).await;
    state.finish_error(plan.run_id, &failure()).await.unwrap();
    let logged = state.run(plan.run_id).await.unwrap().unwrap();
    assert_eq!(logged.export_state, RunState::Error);
    assert_eq!(logged.error_message.as_deref(), Some("WriteError: export sales/orders: the target is gone"));
    assert!(state.last(&key("orders")).await.unwrap().watermark.is_none());
    state.finish_error(plan.run_id, &failure()).await.unwrap();
    running(&state, "orders", "e2", None).await;
}

async fn watermarks_keep_their_type_and_their_history(url: &str) {
    let state = open(url).await;
    let key = key("orders");
    let values = [
        Value::Int(i128::from(u64::MAX)),
        Value::Int(-3),
        Value::Decimal("12.50".into()),
        Value::Float(0.1),
        Value::Text("ä'\"\\ 2".into()),
        Value::Date("2025-02-28".parse().unwrap()),
        date("2025-02-28T23:59:59.123456789"),
        Value::TimestampTz("2025-02-28T23:59:59.000001Z".parse().unwrap()),
        Value::Time("23:59:59.5".parse().unwrap()),
        Value::Version(TableVersion { number: 12, table: Some("a1b2".to_owned()) }),
        Value::Version(TableVersion { number: -1, table: None }),
    ];
    for value in &values {
        state.set_watermark(&key, "modified", value).await.unwrap();
        assert_eq!(state.last(&key).await.unwrap().watermark.as_ref(), Some(value));
    }
    let history = state.watermark_history(&key, 100).await.unwrap();
    assert!(history.iter().rev().map(|r| r.value.clone().unwrap()).eq(values));
    state.reset_watermark(&key).await.unwrap();
    assert_eq!(state.last(&key).await.unwrap().watermark, None);
    assert_eq!(state.watermark_history(&key, 100).await.unwrap().len(), 12, "a reset is a row of the history");
    assert_eq!(state.last(&support::key("others")).await.unwrap().watermark, None);
}

async fn a_second_run_is_refused_and_told_who_runs(url: &str) {
    let state = open(url).await;
    let first = running(&state, "orders", "e1", None).await;
    let second = start(&key("orders"), "e2");
    let other = open(url).await;
    other.begin_run(&second).await.unwrap();
    let error = other.acquire_lease(&second.key, second.run_id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let expected = format!("export \"sales/orders\" is being run by process {} on ", std::process::id());
    assert!(error.message().starts_with(&expected), "{error}");
    assert!(error.message().contains(&first.run_id.to_string()), "{error}");
    assert_eq!(other.run(second.run_id).await.unwrap().unwrap().export_state, RunState::Pending);
    // Another export is none of its business.
    running(&other, "customers", "e2", None).await;
}

async fn a_lost_lease_closes_no_books(url: &str) {
    let state = open(url).await.with_lease_time(Duration::from_millis(200));
    let run = start(&key("orders"), "e1");
    state.begin_run(&run).await.unwrap();
    let lease = state.acquire_lease(&run.key, run.run_id).await.unwrap();
    let slow = plan(&run.key, run.run_id, Some(Value::Int(1)));
    state.planned(&slow).await.unwrap();
    // Renewed in time, it holds for longer than its time.
    for _ in 0..6 {
        tokio::time::sleep(lease.renew_every()).await;
        lease.renew().await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let fast = running(&state, "orders", "e2", Some(Value::Int(2))).await;
    assert_eq!(lease.renew().await.unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(state.finish_success(&slow, &receipt(), &[]).await.unwrap_err().kind(), ErrorKind::Busy);
    assert!(state.last(&run.key).await.unwrap().watermark.is_none());
    lease.release().await.unwrap();
    state.finish_success(&fast, &receipt(), &[]).await.unwrap();
    assert_eq!(state.last(&run.key).await.unwrap().watermark, Some(Value::Int(2)));
}

async fn dead_runs_are_found_and_closed(url: &str) {
    let state = open(url).await.with_lease_time(Duration::from_millis(1));
    let published = running(&state, "orders", "e1", Some(Value::Int(10))).await;
    let intent =
        Intent { run_id: published.run_id, paths: vec!["a.csv".into()], receipt: Some(receipt()), ..Intent::default() };
    state.record_intent(&Intent { paths: Vec::new(), ..intent.clone() }).await.unwrap();
    state.record_intent(&intent).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let early = running(&state, "orders", "e2", Some(Value::Int(11))).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let state = open(url).await;
    let current = running(&state, "orders", "e3", None).await;

    let dead = state.dead_runs(&current.export).await.unwrap();
    assert_eq!(dead.iter().map(|d| d.run_id).collect::<Vec<_>>(), [published.run_id, early.run_id]);
    assert_eq!(dead[0].intent.as_ref(), Some(&intent));
    assert_eq!(dead[0].target.as_deref(), Some("drop"));
    assert_eq!(dead[1].intent, None);
    assert_eq!(state.adopt(&dead[0], &receipt()).await.unwrap(), Some(Value::Int(10)));
    state.finish_error(dead[1].run_id, &failure()).await.unwrap();
    assert!(state.dead_runs(&current.export).await.unwrap().is_empty());
    assert_eq!(state.run(published.run_id).await.unwrap().unwrap().export_state, RunState::Success);
    assert_eq!(state.last(&current.export).await.unwrap().watermark, Some(Value::Int(10)));

    // A run that failed and may have left something is looked after by the next one.
    let left = Intent { run_id: current.run_id, opening: Some("b.csv".into()), ..Intent::default() };
    state.record_intent(&left).await.unwrap();
    state.finish_error(current.run_id, &failure()).await.unwrap();
    let next = running(&state, "orders", "e4", None).await;
    let left = state.dead_runs(&next.export).await.unwrap();
    assert_eq!(left.iter().map(|d| d.run_id).collect::<Vec<_>>(), [current.run_id]);
    state.finish_error(current.run_id, &failure()).await.unwrap();
    assert!(state.dead_runs(&next.export).await.unwrap().is_empty());

    // One that cleaned up behind itself is over, and nobody is kept from running while that is found out again.
    assert!(state.has_unfinished(&next.export).await.unwrap());
    state.record_intent(&Intent { run_id: next.run_id, ..Intent::default() }).await.unwrap();
    state.finish_error(next.run_id, &failure()).await.unwrap();
    assert!(!state.has_unfinished(&next.export).await.unwrap());
}

async fn a_killed_process_frees_its_export(url: &str) {
    open(url).await.close().await;
    let mut holder = child("child_holds", &[("STATE_URL", url)]);
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    let run_id: Uuid = lines.find_map(|l| l.split("held ").nth(1).map(str::to_owned)).unwrap().parse().unwrap();

    let state = open(url).await;
    let mine = start(&key("orders"), "e2");
    state.begin_run(&mine).await.unwrap();
    let error = state.acquire_lease(&mine.key, mine.run_id).await.unwrap_err();
    assert!(error.message().contains(&format!("process {} on ", holder.id())), "{error}");

    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(state.failed_of("child").await.unwrap(), [key("orders")]);
    state.acquire_lease(&mine.key, mine.run_id).await.unwrap();
    let dead = state.dead_runs(&mine.key).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].run_id, run_id);
    assert_eq!(dead[0].intent.as_ref().unwrap().paths, ["sales/2025/orders.csv"]);
}

/// The process that [`a_killed_process_frees_its_export`] kills.
#[tokio::test]
async fn child_holds() {
    let Ok(url) = std::env::var("STATE_URL") else { return };
    let state = open(&url).await;
    let plan = running(&state, "orders", "child", Some(Value::Int(1))).await;
    let intent = Intent { run_id: plan.run_id, paths: plan.paths.clone(), ..Intent::default() };
    state.journal().record(&intent).await.unwrap();
    println!("held {}", plan.run_id);
    std::thread::sleep(Duration::from_secs(60));
}

async fn processes_take_turns(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    let variables = [("STATE_URL_TURNS", url), ("MARKER", marker.to_str().unwrap())];
    let children: Vec<_> = (0..3).map(|_| child("child_takes_turns", &variables)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let state = open(url).await;
    let runs = state
        .history(&HistoryFilter { state: Some(RunState::Success), ..HistoryFilter::default() }, 1000)
        .await
        .unwrap();
    assert_eq!(runs.len(), 3 * TURNS as usize);
    assert_eq!(state.watermark_history(&key("orders"), 1000).await.unwrap().len(), 3 * TURNS as usize);
}

const TURNS: i128 = 8;

/// One of the processes of [`processes_take_turns`]: while it holds the lease, no other may.
#[tokio::test]
async fn child_takes_turns() {
    let (Ok(url), Ok(marker)) = (std::env::var("STATE_URL_TURNS"), std::env::var("MARKER")) else { return };
    let state = open(&url).await;
    let mut done = 0;
    while done < TURNS {
        let run = start(&key("orders"), "turns");
        state.begin_run(&run).await.unwrap();
        match state.acquire_lease(&run.key, run.run_id).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Busy => {
                state.finish_error(run.run_id, &error).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            Err(error) => panic!("{error}"),
        }
        std::fs::File::create_new(&marker).expect("another process holds the lease too");
        let value = i128::from(std::process::id()) * 1000 + done;
        let plan = plan(&run.key, run.run_id, Some(Value::Int(value)));
        state.planned(&plan).await.unwrap();
        std::fs::remove_file(&marker).unwrap();
        state.finish_success(&plan, &receipt(), &[]).await.unwrap();
        done += 1;
    }
}

async fn failed_exports_of_an_execution_are_found(url: &str) {
    let state = open(url).await;
    for name in ["bad", "good", "mended"] {
        let plan = running(&state, name, "e1", None).await;
        match name {
            "good" => state.finish_success(&plan, &receipt(), &[]).await.unwrap(),
            _ => state.finish_error(plan.run_id, &failure()).await.unwrap(),
        }
    }
    let again = running(&state, "mended", "e1", None).await;
    state.finish_success(&again, &receipt(), &[]).await.unwrap();
    running(&state, "alive", "e1", None).await;
    let elsewhere = running(&state, "elsewhere", "e2", None).await;
    state.finish_error(elsewhere.run_id, &failure()).await.unwrap();
    assert_eq!(state.failed_of("e1").await.unwrap(), [key("bad")]);
    assert!(state.failed_of("nothing").await.unwrap().is_empty());
}

async fn history_and_status_select(url: &str) {
    let state = open(url).await;
    let first = running(&state, "orders", "e1", None).await;
    state.finish_success(&first, &receipt(), &[]).await.unwrap();
    let second = running(&state, "orders", "e2", None).await;
    state.finish_error(second.run_id, &failure()).await.unwrap();
    let other = running(&state, "customers", "e2", None).await;
    let ids = async |filter: HistoryFilter, limit| {
        state.history(&filter, limit).await.unwrap().iter().map(|r| r.export_run_id).collect::<Vec<_>>()
    };
    let all = HistoryFilter::default();
    assert_eq!(ids(all.clone(), 10).await, [other.run_id, second.run_id, first.run_id]);
    assert_eq!(ids(all.clone(), 1).await, [other.run_id]);
    let orders = HistoryFilter { name: Some("orders".into()), ..all.clone() };
    assert_eq!(ids(orders.clone(), 10).await, [second.run_id, first.run_id]);
    assert_eq!(ids(HistoryFilter { state: Some(RunState::Success), ..orders }, 10).await, [first.run_id]);
    assert_eq!(ids(HistoryFilter { execution_id: Some("e2".into()), ..all }, 10).await, [other.run_id, second.run_id]);
    let status = state.status().await.unwrap();
    let last: Vec<_> = status.iter().map(|r| (r.export_name.as_str(), r.export_run_id)).collect();
    assert_eq!(last, [("customers", other.run_id), ("orders", second.run_id)]);
}

async fn a_run_is_found_by_the_beginning_of_its_id(url: &str) {
    let state = open(url).await;
    let plan = running(&state, "orders", "e1", Some(Value::Int(7))).await;
    let warning = Warning { code: "c".into(), column: Some("x".into()), message: "values were clamped".into() };
    state.finish_success(&plan, &receipt(), &[(warning, 3)]).await.unwrap();
    let id = plan.run_id.to_string();
    for prefix in [id.as_str(), &id[..8], &id[..15], &id.replace('-', "").to_uppercase()] {
        let found = state.find_run(prefix).await.unwrap();
        assert_eq!(found.run.export_run_id, plan.run_id, "{prefix}");
        assert_eq!(found.new_watermark_value.as_deref(), Some("7"));
        assert_eq!(found.warnings, ["values were clamped (3 in column \"x\")"]);
        assert_eq!((found.run_date.as_str(), found.target.as_deref()), ("2025-12-12T00:00:00", Some("drop")));
    }
    // Of seventeen runs two begin with the same digit.
    for turn in 0..16 {
        let plan = running(&state, "orders", &format!("more {turn}"), None).await;
        state.finish_error(plan.run_id, &failure()).await.unwrap();
    }
    let mut said = Vec::new();
    for digit in "0123456789abcdef".chars() {
        if let Err(error) = state.find_run(&digit.to_string()).await {
            assert_eq!(error.kind(), ErrorKind::Usage);
            said.push(error.to_string());
        }
    }
    assert!(said.iter().any(|text| text.starts_with("there are several runs whose id begins with ")), "{said:?}");
    for (wrong, expected) in
        [("%", "expected the id of a run"), ("", "expected"), ("0_", "expected"), ("nightly", "expected")]
    {
        let error = state.find_run(wrong).await.unwrap_err();
        assert!(error.message().starts_with(expected), "{wrong}: {error}");
    }
}

async fn an_illegal_step_changes_nothing(url: &str) {
    let state = open(url).await;
    let plan = running(&state, "orders", "e1", Some(Value::Int(1))).await;
    state.finish_success(&plan, &receipt(), &[]).await.unwrap();
    let error = state.finish_error(plan.run_id, &failure()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert_eq!(state.run(plan.run_id).await.unwrap().unwrap().export_state, RunState::Success);
    let error = state.finish_error(Uuid::nil(), &failure()).await.unwrap_err();
    assert!(error.message().contains("there is no run 00000000"), "{error}");
}

async fn a_reset_keeps_the_columns(url: &str) {
    let state = open(url).await;
    let plan = running(&state, "orders", "e1", Some(Value::Int(5))).await;
    state.finish_success(&plan, &receipt(), &[]).await.unwrap();
    state.reset_watermark(&key("orders")).await.unwrap();
    let last = state.last(&key("orders")).await.unwrap();
    assert_eq!((last.watermark, last.fingerprint), (None, None));
    assert_eq!(last.columns.unwrap().len(), 2);
}

async fn variables_are_kept_with_the_execution(url: &str) {
    let state = open(url).await;
    let plan = running(&state, "orders", "e1", None).await;
    state.finish_error(plan.run_id, &failure()).await.unwrap();
    let mut other = start(&key("returns"), "e1");
    other.vars = [("day".to_owned(), "it's {1}".to_owned())].into();
    state.begin_run(&other).await.unwrap();
    let kept = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(state.vars_of("e1").await.unwrap(), [kept("day", "it's {1}"), kept("region", "EU")].into());
    assert!(state.vars_of("e2").await.unwrap().is_empty());
    let detail = state.find_run(&other.run_id.to_string()).await.unwrap();
    assert_eq!(detail.vars, other.vars);
}

async fn opening_at_once_upgrades_once(url: &str) {
    let opened = futures::future::join_all((0..4).map(|_| State::open(url))).await;
    for state in opened {
        state.unwrap().status().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_state_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    std::fs::write(&path, "this is no database, but it is long enough to look like one ".repeat(100)).unwrap();
    let error = State::open(&path.to_string_lossy()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.message().contains("state.db is not an SQLite database"), "{error}");
    assert!(error.hint_text().is_some());

    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = State::open(&folder.path().join("file/state.db").to_string_lossy()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State, "{error}");

    let error = State::open("postgres://me:hunter2@127.0.0.1:1/x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(!format!("{error} {:?}", error.causes()).contains("hunter2"), "{error}");
}
