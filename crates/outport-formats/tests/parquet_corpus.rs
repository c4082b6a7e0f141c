//! Files of other writers: what pyarrow reads is read alike, what is broken is an error and never a panic.

mod readers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_core::ErrorKind;
use outport_core::format::{DecodeSettings, EncodeSettings, MemoryInput, decode_all, encode_all};
use outport_formats::arrow_ipc::ArrowIpc;
use outport_formats::parquet::Parquet;

fn files(folder: &str) -> Option<Vec<PathBuf>> {
    let folder = readers::test_data()?.join("parquet").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    // Beside the Parquet files are notes, expected values and keys.
    let kinds = ["parquet", "encrypted"];
    let is_parquet = |path: &PathBuf| path.extension().is_some_and(|e| kinds.iter().any(|kind| e == *kind));
    let mut files: Vec<PathBuf> = entries.filter(is_parquet).collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {}", folder.display());
    Some(files)
}

fn read(path: &Path) -> outport_core::Result<(arrow::datatypes::SchemaRef, Vec<arrow::array::RecordBatch>)> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    decode_all(&Parquet, Arc::new(MemoryInput::new(name, std::fs::read(path).unwrap())), &DecodeSettings::default())
}

#[test]
fn broken_files_are_errors_that_name_them() {
    let Some(files) = files("bad_data") else { return };
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match read(&path) {
            Ok((_, batches)) => {
                let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
                assert_eq!((name.as_str(), rows), ("ARROW-GH-43605.parquet", 21_186));
            }
            Err(error) => {
                eprintln!("{error}");
                assert_eq!(error.kind(), ErrorKind::Data, "{name}: {error}");
                assert!(error.to_string().contains(&name), "{error}");
            }
        }
    }
}

#[test]
fn files_of_other_writers_are_read_as_pyarrow_reads_them() {
    let Some(files) = files("data") else { return };
    let Some(python) = readers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let ours = folder.path().join(format!("{name}.arrow"));
        match read(&path) {
            Ok((schema, batches)) => {
                let bytes = encode_all(&ArrowIpc::file(), &schema, &batches, &EncodeSettings::default()).unwrap();
                std::fs::write(&ours, bytes).unwrap();
                list += &format!("{}\t{}\n", path.display(), ours.display());
            }
            Err(error) => {
                assert!(error.to_string().contains(&name), "{error}");
                if error.kind() != ErrorKind::Unsupported || !error.message().contains("encrypted") {
                    list += &format!("{}\t{error}\n", path.display());
                }
            }
        }
    }
    let list_path = folder.path().join("list.txt");
    std::fs::write(&list_path, list).unwrap();
    readers::run(&python, "compare_parquet.py", &[list_path.to_str().unwrap()]);
}
