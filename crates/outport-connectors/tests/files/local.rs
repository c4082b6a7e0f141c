//! A local folder.

use outport_connectors::files::Store;
use outport_core::testkit::destination;

use crate::support::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_local_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    destination::all(&Fixture::new(Store::local(folder.path()))).await;
}
