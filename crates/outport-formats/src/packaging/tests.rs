use std::io::{Read, Write};
use std::sync::Arc;

use outport_core::ErrorKind;
use outport_core::format::{Format, FormatCaps, MemoryInput};
use outport_core::layout::{Codec, Compression};

use super::decompress::{detect, open};
use super::*;

const ALL: [Wrapping; 8] = [
    Wrapping::Plain,
    Wrapping::Gzip,
    Wrapping::Zip,
    Wrapping::TarGz,
    Wrapping::Zstd,
    Wrapping::Lz4,
    Wrapping::Snappy,
    Wrapping::Brotli,
];

/// One object with `chunks` as its only entry.
fn pack(wrapping: Wrapping, level: Option<u32>, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut packager = Packager::new(wrapping, level, 2).unwrap();
    let compressor = packager.block_compressor();
    let size = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let mut blocks = chunks.iter().map(|chunk| match &compressor {
        Some(compressor) => compressor.compress(chunk.clone()),
        None => Ok(Block::Raw(chunk.clone())),
    });
    packager.append_entry("data/orders.csv", None, size, &mut blocks, &mut out).unwrap();
    packager.finish(&mut out).unwrap();
    out
}

fn unpack(bytes: Vec<u8>, codec: Codec) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    open(Arc::new(MemoryInput::new("t", bytes)), codec).map_err(std::io::Error::other)?.read_to_end(&mut read)?;
    Ok(read)
}

fn chunks() -> Vec<Vec<u8>> {
    let text = |from: usize| (from..from + 9_000).map(|i| format!("{i},customer {}\n", i * 7919 % 1013)).collect::<String>();
    let noise = (0..100_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    vec![text(0).into_bytes(), Vec::new(), noise, text(9_000).into_bytes(), vec![b'x'; 1_000_000], vec![b'y']]
}

fn codec_of(wrapping: Wrapping) -> Codec {
    match wrapping {
        Wrapping::Plain => Codec::None,
        Wrapping::Gzip | Wrapping::TarGz => Codec::Gzip,
        Wrapping::Zip => Codec::Zip,
        Wrapping::Zstd => Codec::Zstd,
        Wrapping::Lz4 => Codec::Lz4,
        Wrapping::Snappy => Codec::Snappy,
        Wrapping::Brotli => Codec::Brotli,
    }
}

#[test]
fn every_wrapping_and_level_is_read_back() {
    let whole: Vec<u8> = chunks().concat();
    for wrapping in ALL.into_iter().filter(|wrapping| *wrapping != Wrapping::TarGz) {
        let codec = codec_of(wrapping);
        let levels = codec.levels().filter(|_| wrapping != Wrapping::Plain);
        for level in levels.map_or(vec![None], |levels| vec![None, Some(*levels.start()), Some((*levels.end()).min(9))]) {
            let bytes = pack(wrapping, level, &chunks());
            assert_eq!(detect(if codec == Codec::Brotli { "t.br" } else { "t" }, &bytes), codec);
            assert!(unpack(bytes, codec).unwrap() == whole, "{wrapping:?} {level:?}");
            assert_eq!(unpack(pack(wrapping, level, &[]), codec).unwrap(), b"", "{wrapping:?} {level:?}");
        }
    }
}

#[test]
fn gzip_and_zstd_are_read_through_all_their_members() {
    for (wrapping, codec) in [(Wrapping::Gzip, Codec::Gzip), (Wrapping::Zstd, Codec::Zstd), (Wrapping::Lz4, Codec::Lz4)] {
        let both = [pack(wrapping, None, &[b"one,".to_vec()]), pack(wrapping, None, &[b"two".to_vec()])].concat();
        assert_eq!(unpack(both, codec).unwrap(), b"one,two", "{codec:?}");
    }
}

#[test]
fn what_ends_early_is_an_error_that_says_so() {
    for wrapping in [Wrapping::Gzip, Wrapping::Zstd, Wrapping::Lz4, Wrapping::Snappy, Wrapping::Brotli] {
        let mut bytes = pack(wrapping, None, &chunks());
        bytes.truncate(bytes.len() / 2);
        let error = unpack(bytes, codec_of(wrapping)).unwrap_err().to_string();
        assert!(error.starts_with("t: the ") && error.contains(codec_of(wrapping).name()), "{wrapping:?}: {error}");
    }
    let mut zip = pack(Wrapping::Zip, None, &chunks());
    zip.truncate(zip.len() / 2);
    assert!(unpack(zip, Codec::Zip).unwrap_err().to_string().contains("t could not be read as a zip archive"));
}

#[test]
fn a_damaged_zip_entry_is_found_out() {
    let mut bytes = pack(Wrapping::Zip, Some(0), &[vec![b'a'; 1000]]);
    bytes[200] ^= 1;
    let error = unpack(bytes, Codec::Zip).unwrap_err().to_string();
    assert!(error.contains("expected 1000 bytes with CRC-32"), "{error}");
}

#[test]
fn an_archive_of_several_files_is_refused_with_their_names() {
    let mut out = Vec::new();
    let mut packager = Packager::new(Wrapping::Zip, None, 1).unwrap();
    for name in ["a.csv", "b.csv"] {
        packager.append_entry(name, None, 1, &mut [Ok(Block::Raw(b"x".to_vec()))].into_iter(), &mut out).unwrap();
    }
    let error = packager.begin_entry("a.csv", None, &mut out).unwrap_err();
    assert_eq!(error.message(), "a zip archive would hold two files named a.csv");
    packager.finish(&mut out).unwrap();
    let error = open(Arc::new(MemoryInput::new("t.zip", out)), Codec::Zip).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.message(), "expected one file in the zip archive t.zip, found 2: a.csv, b.csv");
}

#[test]
fn wrong_levels_are_refused_in_the_words_of_the_contract() {
    let message = |codec, level| check_level(Compression { codec, level: Some(level) }).unwrap_err().message().to_owned();
    assert_eq!(message(Codec::None, 3), "compression_level requires compression to be set");
    assert_eq!(message(Codec::Snappy, 3), "compression_level not supported for compression type snappy");
    assert_eq!(message(Codec::Gzip, 0), "compression_level for gzip must be between 1 and 9, found 0");
    assert!(check_level(Compression { codec: Codec::Zip, level: Some(0) }).is_ok());
    assert_eq!(Packager::new(Wrapping::TarGz, Some(10), 1).err().unwrap().kind(), ErrorKind::Config);
}

#[test]
fn wrappings_follow_codec_and_format() {
    let parquet = crate::parquet::Parquet.caps();
    let csv = FormatCaps { text: true, internal_codecs: &[], ..parquet.clone() };
    assert_eq!(Wrapping::of_file(&parquet, Codec::Gzip), Wrapping::Plain);
    assert_eq!(Wrapping::of_file(&parquet, Codec::Zip), Wrapping::Zip);
    assert_eq!(Wrapping::of_file(&csv, Codec::Gzip), Wrapping::Gzip);
    assert_eq!(Wrapping::of_file(&csv, Codec::Default), Wrapping::Plain);
    assert_eq!(Wrapping::of_bundle(&csv, Codec::Gzip), Some(Wrapping::TarGz));
    assert_eq!(Wrapping::of_bundle(&parquet, Codec::Gzip), None);
    assert_eq!(Wrapping::of_bundle(&csv, Codec::Zstd), None);
}

#[test]
fn a_second_entry_and_unsafe_names_are_refused() {
    let mut out = Vec::new();
    let mut gzip = Packager::new(Wrapping::Gzip, None, 1).unwrap();
    gzip.begin_entry("a", None, &mut out).unwrap();
    gzip.end_entry(&mut out).unwrap();
    assert_eq!(gzip.begin_entry("b", None, &mut out).unwrap_err().kind(), ErrorKind::Unsupported);
    let mut zip = Packager::new(Wrapping::Zip, None, 1).unwrap();
    for name in ["", "/etc/passwd", "a/../b", "a\\b"] {
        assert_eq!(zip.begin_entry(name, None, &mut out).unwrap_err().kind(), ErrorKind::Unsupported, "{name}");
    }
}

#[test]
fn a_full_disk_is_recognised() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut packager = Packager::new(Wrapping::Zip, None, 1).unwrap();
    assert_eq!(packager.begin_entry("a", None, &mut Full).unwrap_err().kind(), ErrorKind::DiskFull);
}

#[test]
fn bytes_are_hashed_as_they_go_by() {
    let mut writer = Sha256Writer::new(Vec::new());
    writer.write_all(b"ab").unwrap();
    writer.write_all(b"c").unwrap();
    let (bytes, hashed) = writer.finish();
    assert_eq!((bytes.as_slice(), hashed.bytes), (b"abc".as_slice(), 3));
    assert_eq!(hashed.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
