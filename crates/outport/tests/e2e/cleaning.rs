//! `gc` beside runs: one that goes on in another process is left alone, one whose process was killed is undone.

use crate::cut::{RUN, call, check_whole, project, start};
use crate::support::finish;
use crate::support::object_store::Bucket;
use crate::support::proxy::{Network, Proxy};

#[test]
fn gc_leaves_a_run_alone_that_goes_on() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = project();
    let direct = format!("http://127.0.0.1:{}", bucket.port());
    let proxy = Proxy::start(bucket.port(), Network::Still(2_700_000));
    let run = start(&folder, &proxy.url(), RUN);
    proxy.wait_until_still();
    let open = bucket.uploads("x");
    assert!(!open.is_empty());

    let cleaned = call(&folder, &direct, &["gc", "--older-than", "0s"]);
    assert_eq!(cleaned.code, 0, "{cleaned:?}");
    let said = format!("left alone: export \"t/rows\" is being run by process {} ", run.id());
    assert!(cleaned.stderr.contains(&said), "{cleaned:?}");
    assert_eq!(bucket.uploads("x"), open, "{cleaned:?}");

    proxy.mend();
    let called = finish(run);
    assert_eq!(called.code, 0, "{called:?}");
    check_whole(&bucket);
    assert_eq!(call(&folder, &direct, &["gc"]).stdout, "nothing was left behind\n");
}

#[test]
fn gc_undoes_a_run_that_was_killed() {
    let Some(bucket) = Bucket::start() else { return };
    let folder = project();
    let direct = format!("http://127.0.0.1:{}", bucket.port());
    let proxy = Proxy::start(bucket.port(), Network::Still(2_700_000));
    let mut run = start(&folder, &proxy.url(), RUN);
    proxy.wait_until_still();
    run.kill().unwrap();
    run.wait().unwrap();
    let open = bucket.uploads("x");
    assert!(!open.is_empty());

    let cleaned = call(&folder, &direct, &["gc", "-o", "json"]);
    assert_eq!(cleaned.code, 0, "{cleaned:?}");
    assert_eq!(bucket.uploads("x"), Vec::<String>::new(), "{cleaned:?}");
    assert_eq!(cleaned.json().as_array().unwrap().len(), open.len(), "{cleaned:?}");
    // The lease went with it: the next run need not wait.
    assert_eq!(call(&folder, &direct, RUN).code, 0);
    check_whole(&bucket);
}
