//! What every [`Source`] must do.
//!
//! An implementation provides a [`SourceFixture`] over a real system and calls [`all`], or the single checks where it wants
//! one test each. Checks panic with what was expected and found, as assertions do.
//!
//! ```text
//! #[tokio::test]
//! async fn conforms() {
//!     testkit::source::all(&MyFixture::start().await).await;
//! }
//! ```

mod errors;
mod lifetime;
mod rows;
mod sample;

use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use uuid::Uuid;

use crate::Context;
use crate::extract::{Extract, Relation};
use crate::source::Source;

pub use errors::{bad_sql_speaks_with_position, missing_column_names_the_nearest, missing_table_names_the_nearest};
pub use lifetime::{cancel_ends_a_read_within_a_second, dropping_the_stream_releases_it, two_reads_run_at_once};
pub use rows::{
    columns_come_in_the_order_asked, empty_results_keep_their_schema, filters_select_rows, limits_hold,
    names_may_hold_quotes_and_unicode, queries_are_read_as_written, ranges_honour_bounds_and_nulls,
    relations_list_what_can_be_read, schema_is_what_read_yields, values_survive,
};
pub use sample::people;

/// A real system with a [`Source`] on it.
#[async_trait]
pub trait SourceFixture: Send + Sync {
    /// The source under test.
    fn source(&self) -> &dyn Source;

    /// Makes a relation called `name` that holds exactly `rows`, and says how an extract names it.
    ///
    /// Columns are of type Int64, Float64, Boolean, Utf8, Timestamp(µs) without zone and Date32, all nullable; names and
    /// values may hold quotes and any Unicode. Names are never used twice.
    async fn create(&self, name: &str, rows: &RecordBatch) -> Relation;

    /// An extract that goes on yielding rows for a minute at least; `None` where the system cannot be asked for one.
    fn endless(&self) -> Option<Extract>;

    /// An extract that computes for a minute at least before its first row; `None` where the system cannot be asked for one.
    fn silent(&self) -> Option<Extract> {
        None
    }

    /// How many connections, cursors or file handles the source's reads hold now, asked of the system itself; `None` where
    /// that cannot be told.
    async fn held(&self) -> Option<usize> {
        None
    }
}

/// Every check of this suite, one after the other.
pub async fn all(fixture: &dyn SourceFixture) {
    schema_is_what_read_yields(fixture).await;
    values_survive(fixture).await;
    columns_come_in_the_order_asked(fixture).await;
    filters_select_rows(fixture).await;
    ranges_honour_bounds_and_nulls(fixture).await;
    limits_hold(fixture).await;
    empty_results_keep_their_schema(fixture).await;
    names_may_hold_quotes_and_unicode(fixture).await;
    queries_are_read_as_written(fixture).await;
    relations_list_what_can_be_read(fixture).await;
    missing_table_names_the_nearest(fixture).await;
    missing_column_names_the_nearest(fixture).await;
    bad_sql_speaks_with_position(fixture).await;
    two_reads_run_at_once(fixture).await;
    dropping_the_stream_releases_it(fixture).await;
    cancel_ends_a_read_within_a_second(fixture).await;
}

fn context() -> Context {
    Context::new(Uuid::nil())
}

/// Resolves after `duration`; the core knows no async runtime, so a thread keeps the time.
async fn after(duration: Duration) {
    let (done, wait) = futures::channel::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(duration);
        let _ = done.send(());
    });
    let _ = wait.await;
}

/// What `future` gives, if it does so within `duration`.
async fn within<T>(duration: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let timer = std::pin::pin!(after(duration));
    match futures::future::select(std::pin::pin!(future), timer).await {
        futures::future::Either::Left((value, _)) => value,
        futures::future::Either::Right(_) => panic!("{what} took longer than {duration:?}"),
    }
}
