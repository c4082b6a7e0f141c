//! Reads that overlap, end early or are called off.

use std::time::{Duration, Instant};

use futures::StreamExt;

use super::sample::{collect, ids};
use super::{SourceFixture, after, context, people, within};
use crate::ErrorKind;
use crate::extract::Extract;

/// Two reads of one source, polled in turns, both come to their end.
pub async fn two_reads_run_at_once(fixture: &dyn SourceFixture) {
    let source = fixture.source();
    let first = Extract::of(fixture.create("suite_two_a", &people()).await);
    let second = Extract::of(fixture.create("suite_two_b", &people().slice(0, 5)).await);
    let first = source.read(&first, &context()).await.expect("a read");
    let second = source.read(&second, &context()).await.expect("a second read beside it");
    let both = futures::future::join(collect(first), collect(second));
    let (first, second) = within(Duration::from_secs(20), "two reads at once", both).await;
    assert_eq!(ids(&first.expect("rows")).len(), 8);
    assert_eq!(ids(&second.expect("rows")).len(), 5);
}

/// A stream that is dropped, unread or half read, holds nothing any more.
pub async fn dropping_the_stream_releases_it(fixture: &dyn SourceFixture) {
    let Some(endless) = fixture.endless() else { return };
    let Some(before) = fixture.held().await else { return };
    let unread = fixture.source().read(&endless, &context()).await.expect("a read");
    drop(unread);
    let mut half = fixture.source().read(&endless, &context()).await.expect("a read");
    half.stream.next().await.expect("a batch").expect("rows");
    let during = fixture.held().await.unwrap_or_default();
    assert!(during > before, "a read in progress holds {during}, before it {before}: held() tells nothing");
    drop(half);
    let dropped = Instant::now();
    while let Some(held) = fixture.held().await
        && held > before
    {
        assert!(dropped.elapsed() < Duration::from_secs(5), "{held} still held, {before} before the read");
        after(Duration::from_millis(20)).await;
    }
}

/// A read that is cancelled, before it starts, while rows come, or before the first of them, ends with [`ErrorKind::Cancelled`] within a second.
pub async fn cancel_ends_a_read_within_a_second(fixture: &dyn SourceFixture) {
    for (extract, rows_come) in
        [(fixture.endless(), true), (fixture.silent(), false)].into_iter().filter_map(|(e, r)| Some((e?, r)))
    {
        let early = context();
        early.cancel.cancel();
        let kind =
            within(Duration::from_secs(5), "a read cancelled beforehand", first_error(fixture, &extract, &early)).await;
        assert_eq!(kind, ErrorKind::Cancelled);

        let context = context();
        let cancel = context.cancel.clone();
        let (cancelled_at, when) = futures::channel::oneshot::channel();
        let call_off = move || {
            std::thread::spawn(move || {
                // Long enough for the system to be in the midst of it, wherever that is.
                std::thread::sleep(Duration::from_millis(300));
                cancel.cancel();
                let _ = cancelled_at.send(Instant::now());
            });
        };
        let reading = async {
            let mut call_off = Some(call_off);
            if !rows_come && let Some(start) = call_off.take() {
                start();
            }
            let mut batches = fixture.source().read(&extract, &context).await?;
            if let Some(start) = call_off.take() {
                batches.stream.next().await.expect("a batch")?;
                start();
            }
            while let Some(batch) = batches.stream.next().await {
                batch?;
            }
            Ok(())
        };
        let ended_with: crate::Result<()> = within(Duration::from_secs(20), "a cancelled read", reading).await;
        let error = ended_with.expect_err("a cancelled read ended well");
        let ended = Instant::now();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        let took = ended.saturating_duration_since(when.await.expect("the time"));
        assert!(took < Duration::from_secs(1), "the read ended {took:?} after it was cancelled");
    }
}

async fn first_error(fixture: &dyn SourceFixture, extract: &Extract, context: &crate::Context) -> ErrorKind {
    let mut batches = match fixture.source().read(extract, context).await {
        Ok(batches) => batches,
        Err(error) => return error.kind(),
    };
    loop {
        match batches.stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error.kind(),
            None => panic!("a cancelled read ended well"),
        }
    }
}
