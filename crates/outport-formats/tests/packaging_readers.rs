//! Packages are read by Python, and by the command-line tools that are there.

mod readers;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use outport_formats::packaging::{Block, BlockCompressor, Packager, Wrapping};

/// The content that `check_packages.py` expects, in chunks.
fn chunks() -> Vec<Vec<u8>> {
    (0..8).map(|part| (0..20_000).map(|i| format!("{},row {}\n", part * 20_000 + i, i * 7919 % 1013)).collect::<String>().into_bytes()).collect()
}

fn compressed(compressor: Option<&dyn BlockCompressor>, chunk: Vec<u8>) -> Block {
    compressor.map_or_else(|| Block::Raw(chunk.clone()), |compressor| compressor.compress(chunk.clone()).unwrap())
}

fn write(folder: &Path, name: &str, wrapping: Wrapping, entries: &[(&str, Vec<Vec<u8>>)]) {
    let mut out = Vec::new();
    let mut packager = Packager::new(wrapping, None, 2).unwrap();
    let compressor = packager.block_compressor();
    let modified = "2025-12-12T14:30:22Z".parse().ok();
    for (entry, chunks) in entries {
        let size = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let mut blocks = chunks.iter().map(|chunk| Ok(compressed(compressor.as_deref(), chunk.clone())));
        packager.append_entry(entry, modified, size, &mut blocks, &mut out).unwrap();
    }
    packager.finish(&mut out).unwrap();
    std::fs::write(folder.join(name), out).unwrap();
}

#[test]
fn python_and_the_command_line_read_every_package() {
    let Some(python) = readers::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let one = |chunks: Vec<Vec<u8>>| [("orders.csv", chunks)];
    for (extension, wrapping) in [
        ("gz", Wrapping::Gzip),
        ("zip", Wrapping::Zip),
        ("zst", Wrapping::Zstd),
        ("lz4", Wrapping::Lz4),
        ("sz", Wrapping::Snappy),
        ("br", Wrapping::Brotli),
    ] {
        write(folder.path(), &format!("full.{extension}"), wrapping, &one(chunks()));
        write(folder.path(), &format!("empty.{extension}"), wrapping, &one(Vec::new()));
    }
    let long = format!("{}/größe_{}.csv", "folder".repeat(20), "n".repeat(80));
    let parts = [("a_part0001.csv", chunks()), (long.as_str(), chunks()), ("leer/ü.csv", Vec::new())];
    write(folder.path(), "parts.zip", Wrapping::Zip, &parts);
    write(folder.path(), "parts.tar.gz", Wrapping::TarGz, &parts);
    write(folder.path(), "none.zip", Wrapping::Zip, &[]);
    write(folder.path(), "none.tar.gz", Wrapping::TarGz, &[]);
    readers::run(&python, "check_packages.py", &[folder.path().to_str().unwrap()]);

    for (tool, arguments, files) in [
        ("gzip", &["-t"][..], &["full.gz", "empty.gz", "parts.tar.gz"][..]),
        ("unzip", &["-tq"], &["full.zip", "empty.zip", "parts.zip"]),
        ("7z", &["t"], &["full.zip", "parts.zip", "parts.tar.gz"]),
        ("tar", &["-tzf"], &["parts.tar.gz"]),
        ("zstd", &["-tq"], &["full.zst", "empty.zst"]),
        ("lz4", &["-tq"], &["full.lz4", "empty.lz4"]),
    ] {
        for file in files {
            match Command::new(tool).args(arguments).arg(folder.path().join(file)).output() {
                Ok(output) => assert!(output.status.success(), "{tool} {file}: {}", String::from_utf8_lossy(&output.stderr)),
                Err(_) => eprintln!("SKIPPED: {tool} is missing"),
            }
        }
    }
}

/// An entry of more than 4 GiB, read by Python from a file of some megabytes.
#[test]
fn a_zip_beyond_four_gigabytes_is_read_by_python() {
    let Some(python) = readers::python() else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut out = std::io::BufWriter::new(file.as_file());
    let mut packager = Packager::new(Wrapping::Zip, Some(1), 2).unwrap();
    let compressor = packager.block_compressor().unwrap();
    let block = compressor.compress(vec![b'0'; 64 << 20]).unwrap();
    packager.begin_entry("large.csv", None, &mut out).unwrap();
    for _ in 0..65 {
        packager.append(block.clone(), &mut out).unwrap();
    }
    packager.end_entry(&mut out).unwrap();
    packager.append_entry("small.csv", None, 5, &mut [Ok(Block::Raw(b"a,b\n1".to_vec()))].into_iter(), &mut out).unwrap();
    packager.finish(&mut out).unwrap();
    out.flush().unwrap();
    drop(out);
    readers::run(&python, "check_large_zip.py", &[file.path().to_str().unwrap(), &(65u64 << 26).to_string()]);
}
