//! CSV and JSON through the door that the formats come in by.

use std::fs;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use outport_core::text::{TextTable, TextTables};
use outport_core::{Batches, Context, Error, ErrorKind, Result};
use outport_lakehouse::LakehouseConfig;
use tempfile::TempDir;

use crate::support::{lakehouse, query, table};

/// Yields the path of the file in every column, and remembers what it was asked for.
#[derive(Default)]
struct Echo {
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl TextTables for Echo {
    async fn schema(&self, table: &TextTable, _: &Context) -> Result<SchemaRef> {
        let fields = ["a", "b", "Region"].map(|name| Field::new(name, DataType::Utf8, true));
        assert!(!table.files.is_empty());
        Ok(Arc::new(Schema::new(fields.to_vec())))
    }

    async fn read(
        &self,
        table: &TextTable,
        file: usize,
        schema: SchemaRef,
        limit: Option<u64>,
        _: &Context,
    ) -> Result<Batches> {
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        self.asked.lock().unwrap().push(format!("{} {columns:?} {limit:?}", table.format));
        let path = &table.files[file].path;
        if path.ends_with("bad.csv") {
            return Err(Error::new(ErrorKind::Data, "expected a number"));
        }
        let column = Arc::new(StringArray::from(vec![path.rsplit('/').next().unwrap(); 2])) as ArrayRef;
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column; schema.fields().len()])?;
        Ok(Batches::from_vec(schema, vec![batch]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_limits_reach_the_decoder() {
    let folder = TempDir::new().unwrap();
    for year in [2024, 2025] {
        fs::create_dir_all(folder.path().join(format!("t/year={year}"))).unwrap();
        fs::write(folder.path().join(format!("t/year={year}/{year}.csv")), "a,b\n1,2\n").unwrap();
    }
    fs::write(folder.path().join("bad.csv"), "a\nx\n").unwrap();
    let echo = Arc::new(Echo::default());
    let lake = lakehouse(folder.path(), LakehouseConfig::default()).with_text(echo.clone());
    let found = table(&query(&lake, "SELECT year, REGION, b FROM t WHERE year > 2024").await.unwrap());
    assert!(found.contains("| 2025 | 2025.csv | 2025.csv |") && !found.contains("2024"), "{found}");
    query(&lake, "SELECT b FROM t LIMIT 1").await.unwrap();
    let asked = echo.asked.lock().unwrap().clone();
    assert_eq!(asked[0], "csv [\"b\", \"Region\"] None");
    assert_eq!(asked[1], "csv [\"b\"] Some(1)");
    let count = table(&query(&lake, "SELECT count(*) AS n FROM t").await.unwrap());
    assert!(count.contains("| 4 "), "{count}");
    let error = query(&lake, "SELECT a FROM bad").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Data && error.to_string().contains("bad.csv"), "{error}");
}
