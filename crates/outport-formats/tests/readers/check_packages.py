"""Reads every package of a folder with Python's own modules and the reference libraries of the codecs."""

import gzip
import pathlib
import sys
import tarfile
import zipfile

import brotli
import lz4.frame
import snappy
import zstandard

folder = pathlib.Path(sys.argv[1])
full = "".join(f"{part * 20000 + i},row {i * 7919 % 1013}\n" for part in range(8) for i in range(20000)).encode()


def read_zip(data_or_path):
    with zipfile.ZipFile(data_or_path) as archive:
        assert archive.testzip() is None
        return {info.filename: (archive.read(info), info.date_time) for info in archive.infolist()}


def read(path):
    data = path.read_bytes()
    match path.suffix:
        case ".gz":
            return gzip.decompress(data)
        case ".zip":
            ((content, time),) = read_zip(path).values()
            assert time == (2025, 12, 12, 14, 30, 22), time
            return content
        case ".zst":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        case ".lz4":
            return lz4.frame.decompress(data)
        case ".sz":
            return snappy.StreamDecompressor().decompress(data)
        case ".br":
            return brotli.decompress(data)


for extension in ("gz", "zip", "zst", "lz4", "sz", "br"):
    assert read(folder / f"full.{extension}") == full, extension
    assert read(folder / f"empty.{extension}") == b"", extension

long = "folder" * 20 + "/größe_" + "n" * 80 + ".csv"
expected = {"a_part0001.csv": full, long: full, "leer/ü.csv": b""}
assert {name: content for name, (content, _) in read_zip(folder / "parts.zip").items()} == expected
with tarfile.open(folder / "parts.tar.gz") as archive:
    members = archive.getmembers()
    assert {m.name: archive.extractfile(m).read() for m in members} == expected
    assert all(m.mtime == 1765549822 and m.mode == 0o644 for m in members), [m.mtime for m in members]
assert read_zip(folder / "none.zip") == {}
with tarfile.open(folder / "none.tar.gz") as archive:
    assert archive.getmembers() == []
# One member, not one per block.
reader = gzip.GzipFile(folder / "full.gz")
assert reader.read() == full
import zlib

inflate = zlib.decompressobj(31)
assert inflate.decompress((folder / "full.gz").read_bytes()) == full and inflate.eof and not inflate.unused_data
print("all packages are read")
