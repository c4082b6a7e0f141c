"""Reads what the demo published with readers that are not Outport's, and compares with the sources."""

import glob
import gzip
import json
import pathlib
import sys
import zipfile

import duckdb
import pyarrow.dataset

base = pathlib.Path(sys.argv[1])
out = base / "out"
source = duckdb.connect()
failures = 0


def check(what: str, found, expected) -> None:
    global failures
    good = found == expected
    failures += not good
    print(f"  {'ok' if good else 'WRONG':5} {what}: {found}" + ("" if good else f", expected {expected}"))


def sql(query: str):
    return source.execute(query).fetchone()


archives = sorted(glob.glob(str(out / "sales/*/orders_*.zip")))
for archive in archives:
    with zipfile.ZipFile(archive) as bundle:
        assert bundle.testzip() is None
        bundle.extractall(base / "unzipped" / pathlib.Path(archive).stem)
    assert pathlib.Path(archive).with_suffix(".done").exists(), "the trigger is missing"
check("incremental runs", len(archives), 2)
check(
    "orders in both archives, by DuckDB",
    sql(f"SELECT count(*), count(DISTINCT o_orderkey), sum(o_totalprice)::DECIMAL(18,2) FROM read_csv('{base}/unzipped/*/*.csv', delim='|')"),
    sql(f"SELECT count(*), count(DISTINCT o_orderkey), sum(o_totalprice)::DECIMAL(18,2) FROM '{base}/tpch/orders.parquet'"),
)
lineitems = pyarrow.dataset.dataset(out / "sales/lineitems", partitioning="hive", exclude_invalid_files=True)
check("line items, by pyarrow", lineitems.count_rows(), sql(f"SELECT count(*) FROM '{base}/lake/lineitem/*.parquet'")[0])
check(
    "line items by partition, by DuckDB",
    source.execute(f"SELECT l_returnflag, l_linestatus, sum(l_quantity)::BIGINT FROM read_parquet('{out}/sales/lineitems/*/*/*.parquet', hive_partitioning=true) GROUP BY 1, 2 ORDER BY 1, 2").fetchall(),
    source.execute(f"SELECT l_returnflag, l_linestatus, sum(l_quantity)::BIGINT FROM '{base}/lake/lineitem/*.parquet' GROUP BY 1, 2 ORDER BY 1, 2").fetchall(),
)
month = "o_orderdate BETWEEN DATE '1995-03-01' AND DATE '1995-03-31'"
check(
    "the month, by DuckDB",
    sql(f"SELECT count(*), sum(o_totalprice)::DECIMAL(18,2) FROM read_csv('{out}/sales/monthly/*.csv.gz')"),
    sql(f"SELECT count(*), sum(o_totalprice)::DECIMAL(18,2) FROM '{base}/tpch/orders.parquet' WHERE {month}"),
)
(crates,) = glob.glob(str(out / "records/crates_*.ndjson.gz"))
with gzip.open(crates, "rt", encoding="utf-8") as lines:
    written = [json.loads(line) for line in lines]
with open(base / "lake/crates.ndjson", encoding="utf-8") as lines:
    read = [json.loads(line) for line in lines]
check("crates, by Python's json", sorted(written, key=json.dumps) == sorted(read, key=json.dumps), True)
sys.exit(failures > 0)
