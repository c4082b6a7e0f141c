"""Reads one table from every file of a folder, with pyarrow and DuckDB, and compares all of them with each other."""

import pathlib
import sys

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

folder = pathlib.Path(sys.argv[1])


def expected(i):
    number = i * 1_000_003 if i % 7 else None
    return number, (f"text {i % 90}" if i % 7 else None), (i / 8 if i % 5 else None)


def check(name, table):
    rows = list(zip(*(table.column(c).to_pylist() for c in ("ints", "text", "floats"))))
    assert rows == [expected(i) for i in range(5000)], (name, rows[:3])


plain = pa.ipc.open_file(folder / "plain.arrow").read_all()
check("plain.arrow", plain)
stream = pa.ipc.open_stream(folder / "stream.arrows").read_all()
check("stream.arrows", stream)
assert pa.types.is_dictionary(stream.schema.field("codes").type)
nested = [c for c in plain.column_names if c not in ("views", "nanos")]
for path in sorted(folder.glob("*.parquet")):
    table = pq.read_table(path)
    check(path.name, table)
    for column in nested:
        ours, theirs = plain.column(column).to_pylist(), table.column(column).to_pylist()
        assert ours == theirs, (path.name, column, ours[:5], theirs[:5])
    assert pq.ParquetFile(path).metadata.created_by.startswith("outport version")
    relation = duckdb.sql(f"select ints, text, floats, lists[1].t as t, maps, structs.i as i, decimals::varchar d from '{path}'")
    check(path.name, relation.to_arrow_table())
    assert relation.aggregate("sum(i), sum(ints)").fetchone()[0] == sum(r or 0 for r, _, _ in map(expected, range(5000)))
print("all files are read")
