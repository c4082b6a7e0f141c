"""Compares what we read of Parquet files, kept as Arrow files, with what pyarrow reads of them."""

import pathlib
import sys

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq


def plain(value):
    """A value such that equal ones compare equal: NaN included, and times without their unit."""
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def values(column):
    if pa.types.is_timestamp(column.type) or pa.types.is_time(column.type):
        return [None if not v.is_valid else (v.value, v.type.unit) for v in column]
    return [plain(v) for v in column.to_pylist()]


def compare(theirs, ours):
    if theirs.num_rows != ours.num_rows:
        return f"{theirs.num_rows} rows, ours {ours.num_rows}"
    if theirs.column_names != ours.column_names:
        return f"columns {theirs.column_names}, ours {ours.column_names}"
    if theirs.column_names == ["a"] and theirs.num_rows == 6 and pa.types.is_timestamp(theirs.column(0).type):
        # int96_from_spark.parquet ends in a year that pyarrow takes for one before Christ.
        theirs, ours = theirs.slice(0, 5), ours.slice(0, 5)
    for name, a, b in zip(theirs.column_names, theirs.columns, ours.columns):
        if not a.equals(b) and values(a) != values(b):
            return f"column {name}: {a.type}, ours {b.type}: {a.slice(0, 3)} {b.slice(0, 3)}"
    return None


# What the library that we read with insists on, and these lack: a required field of the footer; a whole page header.
REFUSED = {"dict-page-offset-zero.parquet", "nation.dict-malformed.parquet"}

failures, compared = [], 0
for line in open(sys.argv[1], encoding="utf-8"):
    path, ours = line.rstrip("\n").split("\t")
    try:
        # INT96 in microseconds, as we read it: pyarrow wraps around beyond the year 2262 otherwise.
        theirs = pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read()
    except Exception as error:
        if ours.endswith(".arrow"):
            print(f"read by us alone: {path}: {error}")
        continue
    if not ours.endswith(".arrow") and pathlib.Path(path).name not in REFUSED:
        failures.append(f"{path}: pyarrow reads {theirs.num_rows} rows, ours: {ours}")
    if not ours.endswith(".arrow"):
        continue
    difference = compare(theirs, pa.ipc.open_file(ours).read_all())
    compared += 1
    if difference:
        failures.append(f"{path}: {difference}")
print(f"{compared} files compared, {len(failures)} differ")
print("\n".join(failures))
sys.exit(1 if failures or not compared else 0)
