//! Every Delta table of the shared test data.

use outport_core::extract::Extract;
use outport_lakehouse::LakehouseConfig;

use crate::support::{data, lakehouse, read, rows};

#[tokio::test(flavor = "multi_thread")]
async fn every_table_of_the_collection() {
    let Some(folder) = data("delta") else { return };
    let lake = lakehouse(&folder, LakehouseConfig::default());
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.push("golden/data-reader-array-primitives".into());
    names.sort();
    for name in names {
        match read(&lake, &Extract::table(&name)).await {
            Ok((schema, batches)) => println!("{name}: {} x {}", rows(&batches), schema.fields().len()),
            Err(error) => println!("{name}: {:?} {error}", error.kind()),
        }
    }
}
