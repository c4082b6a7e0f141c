"""Runs Outport and its peers in turns on the same data and prints medians, ratios and peak memory.

    run.py OUTPORT list
    run.py OUTPORT NAME [--rows N] [--rounds N]

Every side is a process of its own; wall time and peak memory are the operating system's for that process.
"""

import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

DATA = pathlib.Path(os.environ.get("OUTPORT_BENCH_DATA", pathlib.Path(tempfile.gettempdir()) / "outport-bench"))

SRA = """
select 'SRR'||lpad((i*7919%90000000)::varchar,8,'0') as accession, 'SRA'||lpad((i//5)::varchar,7,'0') as submission,
 (['live','suppressed','unpublished','withdrawn'])[1+(hash(i)%4)::int] as status,
 timestamp '2010-01-01' + to_seconds((hash(i*3)%500000000)::bigint) as updated,
 (['RUN','EXPERIMENT','SAMPLE','STUDY','SUBMISSION','ANALYSIS'])[1+(hash(i*5)%6)::int] as type,
 (['GEO','NCBI','EBI-Center','JGI','BI','WUGSC'])[1+(hash(i*7)%6)::int] as center,
 case when hash(i*11)%3=0 then null else (hash(i*13)%100000000)::bigint end as spots,
 (hash(i*17)%10000000000)::bigint as bases, md5(i::varchar) as md5sum, random() as score,
 (hash(i*19)%1000000/100.0)::decimal(12,2) as price
 from range({rows}) t(i)
"""

DUCKDB = "import duckdb, sys; c = duckdb.connect(); c.execute(\"{sql}\")"
# A version beside the one that is installed, as `scripts/setup bench` puts it.
DUCKDB_2 = pathlib.Path(sys.prefix) / "duckdb-2.0.0"
POLARS = "import polars as pl; {code}"


def folders(rows: int) -> dict:
    """Where the data sets are."""
    folder = DATA / str(rows)
    paths = {name: folder / name for name in ("sra.parquet", "sra.csv", "sra.duckdb", "delta", "out")}
    paths["out"].mkdir(parents=True, exist_ok=True)
    return paths


def make(rows: int) -> dict:
    """The data sets, made once."""
    paths = folders(rows)
    import duckdb

    if not paths["sra.parquet"].exists():
        duckdb.sql(f"copy ({SRA.format(rows=rows)}) to '{paths['sra.parquet']}' (format parquet, compression zstd, row_group_size 122880)")
    if not paths["sra.csv"].exists():
        duckdb.sql(f"copy (from '{paths['sra.parquet']}') to '{paths['sra.csv']}' (format csv)")
    if not paths["sra.duckdb"].exists():
        with duckdb.connect(str(paths["sra.duckdb"])) as connection:
            connection.execute(f"create table sra as from '{paths['sra.parquet']}'")
    if not paths["delta"].exists():
        import deltalake

        deltalake.write_deltalake(paths["delta"], duckdb.sql(f"from '{paths['sra.parquet']}'").to_arrow_reader(1_000_000))
    return paths


def copy_work(source: str, target: str, options: str, polars: str):
    """A file-to-file copy: ours, DuckDB's COPY, Polars' streaming sink."""

    def sides(outport: str, p: dict) -> dict:
        src, out = p[source], p["out"]
        extension = target
        reader = f"read_csv('{src}')" if source.endswith(".csv") else f"'{src}'"

        def duckdb(name: str) -> tuple:
            sql = f"copy (from {reader}) to '{out}/{name}.{extension}' ({options})"
            return [sys.executable, "-c", DUCKDB.format(sql=sql)], out / f"{name}.{extension}"

        newest = {"duckdb 2.0": (["env", f"PYTHONPATH={DUCKDB_2}", *duckdb("duck2")[0]], duckdb("duck2")[1])} if DUCKDB_2.exists() else {}
        return {
            "outport": ([outport, "copy", str(src), f"{out}/ours.{extension}"], out / f"ours.{extension}"),
            "duckdb": duckdb("duck"),
            **newest,
            "polars": ([sys.executable, "-c", POLARS.format(code=polars.format(src=src, out=f"{out}/pl.{extension}"))], out / f"pl.{extension}"),
        }

    return sides


def duckdb_table(outport: str, p: dict) -> dict:
    """A table of a DuckDB file to Parquet."""
    out = p["out"]
    bare = f"import duckdb; c = duckdb.connect('{p['sra.duckdb']}', read_only=True); c.execute(\"copy sra to '{out}/bare.parquet' (format parquet, compression zstd)\")"
    return {
        "outport": ([outport, "copy", str(p["sra.duckdb"]), f"{out}/ours.parquet", "--table", "sra", "--manifest"], out / "ours.parquet"),
        "duckdb": ([sys.executable, "-c", bare], out / "bare.parquet"),
    }


def postgres_table(outport: str, p: dict) -> dict:
    """A PostgreSQL table to Parquet; the first peer is COPY thrown away."""
    out, url = p["out"], p["postgres"]
    scanner = pathlib.Path(__import__("duckdb_extension_postgres_scanner").__file__).parent
    extension = next(scanner.rglob("*.duckdb_extension"))
    duck = (
        f"import duckdb; c = duckdb.connect(config={{'allow_unsigned_extensions': 'true'}}); c.execute(\"load '{extension}'\"); "
        f"c.execute(\"attach '{url}' as pg (type postgres, read_only)\"); "
        f"c.execute(\"copy pg.public.t to '{out}/duck.parquet' (format parquet, compression zstd)\")"
    )
    cx = (
        f"import connectorx, pyarrow.parquet as pq; t = connectorx.read_sql('{url}', 'select id,k,amount,price,h,name,note,flag,ts,tz,d,u::text u,s,arr::text arr,j::text j from t', "
        f"return_type='arrow'); pq.write_table(t, '{out}/cx.parquet', compression='zstd')"
    )
    adbc = (
        f"import adbc_driver_postgresql.dbapi as a, pyarrow.parquet as pq; c = a.connect('{url}').cursor(); c.execute('select * from t'); "
        f"r = c.fetch_record_batch(); w = pq.ParquetWriter('{out}/adbc.parquet', r.schema, compression='zstd'); [w.write_batch(b) for b in r]; w.close()"
    )
    return {
        "outport": ([outport, "copy", url, f"{out}/ours.parquet", "--table", "t"], out / "ours.parquet"),
        "bare": (["sh", "-c", f"psql -qc 'copy t to stdout (format binary)' '{url}' > /dev/null"], None),
        "duckdb": ([sys.executable, "-c", duck], out / "duck.parquet"),
        "connectorx": ([sys.executable, "-c", cx], out / "cx.parquet"),
        "adbc": ([sys.executable, "-c", adbc], out / "adbc.parquet"),
    }


PROJECT = """
connections:
  lake: {{type: lakehouse, url: {folder}}}
  drop: {{type: store, url: {out}/delta}}
state: {out}/state.db
exports:
  bench/sra:
    source: lake
    source_table: delta
    target: drop
    target_path: ours
    target_filename_pattern: sra.csv
    compressed_filename_pattern: sra.zip
    file_format: csv
    compression: zip
    max_rows_per_file: 1000000
"""

MODEL = """SELECT accession, submission, status, updated, type, center, spots, bases, md5sum, score, price
FROM raw.sra_accessions WHERE status <> 'withdrawn'
"""


def warehouse(outport: str, p: dict) -> dict:
    """A mart view over accessions, exported by a run of the warehouse; the peer is COPY of the same view in the same file."""
    out, database = p["out"], p["out"].parent / "warehouse.duckdb"
    mart = out / "models" / "mart"
    mart.mkdir(parents=True, exist_ok=True)
    (mart / "sra_metadata.sql").write_text(MODEL)
    (mart / "schema.yml").write_text("models: [{name: sra_metadata, materialized: export_view, export: {path: ours.parquet}}]\n")
    (out / "warehouse.yml").write_text(f"warehouse: {{db_path: {database}, export_dir: {out}, memory_limit: 4GB}}\n")
    if not database.exists():
        import duckdb

        with duckdb.connect(str(database)) as connection:
            connection.execute(f"create schema raw; create schema mart; create table raw.sra_accessions as {SRA.format(rows=int(out.parent.name))}")
            connection.execute(f"create view mart.sra_metadata as {MODEL}")
    bare = (
        f"import duckdb; c = duckdb.connect('{database}', read_only=True, config={{'memory_limit': '4GB'}}); "
        f"c.execute(\"copy mart.sra_metadata to '{out}/bare.parquet' (format parquet, compression zstd, row_group_size 100000)\")"
    )
    return {
        "outport": ([outport, "warehouse", "run", "--config", str(out / "warehouse.yml")], out / "ours.parquet"),
        "duckdb": ([sys.executable, "-c", bare], out / "bare.parquet"),
    }


SPARK = """
import glob, os, shutil, sys, zipfile
from pyspark.sql import SparkSession
spark = SparkSession.builder.master('local[2]').config('spark.ui.enabled', 'false').config('spark.driver.memory', '4g') \\
    .config('spark.driver.bindAddress', '127.0.0.1').config('spark.driver.host', '127.0.0.1').getOrCreate()
shutil.rmtree('{out}/spark', ignore_errors=True)
spark.read.parquet(*glob.glob('{delta}/*.parquet')).write.option('header', 'true').option('maxRecordsPerFile', 1000000).csv('{out}/spark')
with zipfile.ZipFile('{out}/spark.zip', 'w', zipfile.ZIP_DEFLATED) as bundle:
    for number, part in enumerate(sorted(glob.glob('{out}/spark/part-*')), 1):
        bundle.write(part, f'sra_part{{number:04}}.csv')
"""


def delta_zip(outport: str, p: dict) -> dict:
    """A Delta table to CSV, split at a million rows, zipped. Spark reads the table's files, for it has no Delta jar here."""
    out = p["out"]
    (out / "outport.yml").write_text(PROJECT.format(folder=p["delta"].parent, out=out))
    return {
        "outport": ([outport, "run", "--config", str(out / "outport.yml")], out / "delta/ours/sra.zip"),
        "pyspark": ([sys.executable, "-c", SPARK.format(out=out, delta=p["delta"])], out / "spark.zip"),
    }


MIXED = """
create unlogged table t as select i::bigint id, (i::bigint*7919%1000000)::int k, (random()*1e6)::float8 amount, (i%100000/100.0)::numeric(12,2) price,
 md5(i::text) h, 'customer '||(i%50000) as name, case when i%3=0 then null else 'note '||i end note, (i%2=0) flag,
 timestamp '2020-01-01'+ i*interval '1 second' ts, timestamptz '2020-01-01 00:00+00'+ i*interval '1 second' tz, date '2020-01-01'+(i%2000)::int d,
 gen_random_uuid() u, (i%32000)::smallint s, array[i%10,i%7]::int[] arr, jsonb_build_object('a',i%10,'b','x'||i%100) j
 from generate_series(1,ROWS) i
"""


class Postgres:
    """A server of its own with the table `t`, stopped at the end."""

    def __init__(self, rows: int) -> None:
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=pathlib.Path(""))
        self.folder = DATA / f"postgres-{rows}"
        self.url = "postgres://postgres@127.0.0.1:54329/postgres"
        fresh = not self.folder.exists()
        if fresh:
            self.folder.mkdir(parents=True)
            shutil.chown(self.folder, "postgres")
            self.server("initdb", "-A", "trust", "-U", "postgres", "-D", self.folder)
        options = f"-p 54329 -h 127.0.0.1 -k {self.folder} -c shared_buffers=1GB -c max_wal_size=8GB -c fsync=off"
        self.server("pg_ctl", "-w", "-D", self.folder, "-o", options, "-l", self.folder / "log", "start")
        if fresh:
            subprocess.check_call(["psql", "-qc", MIXED.replace("ROWS", str(rows)), self.url])
        subprocess.check_call(["psql", "-qc", "vacuum analyze t", self.url])
        # Whoever comes first would else fill the server's cache for the others.
        subprocess.check_call(["psql", "-qc", "copy t to stdout (format binary)", self.url], stdout=subprocess.DEVNULL)

    def server(self, command: str, *arguments) -> None:
        line = " ".join(shlex.quote(str(a)) for a in [self.bin / command, *arguments])
        as_root = os.geteuid() == 0
        subprocess.check_call(["su", "postgres", "-c", line] if as_root else ["sh", "-c", line], stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        self.server("pg_ctl", "-m", "fast", "-D", self.folder, "stop")


WORKS = {
    "parquet-parquet": copy_work("sra.parquet", "parquet", "format parquet, compression zstd", "pl.scan_parquet('{src}').sink_parquet('{out}', compression='zstd')"),
    "parquet-csv": copy_work("sra.parquet", "csv", "format csv", "pl.scan_parquet('{src}').sink_csv('{out}')"),
    "parquet-ndjson": copy_work("sra.parquet", "ndjson", "format json", "pl.scan_parquet('{src}').sink_ndjson('{out}')"),
    "csv-parquet": copy_work("sra.csv", "parquet", "format parquet, compression zstd", "pl.scan_csv('{src}', try_parse_dates=True).sink_parquet('{out}', compression='zstd')"),
    "duckdb-parquet": duckdb_table,
    "postgres-parquet": postgres_table,
    "delta-csv-zip": delta_zip,
    "warehouse-parquet": warehouse,
}


def measure(command: list) -> tuple:
    """Wall seconds and peak memory in MiB of one process."""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}\n{error.decode()}")
    return seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def run(name: str, outport: str, rows: int, rounds: int) -> None:
    """One work."""
    # The warehouse has its own data; the other sets need not be made for it.
    made = json.loads(subprocess.check_output([sys.executable, __file__, "make" if name != "warehouse-parquet" else "folders", str(rows)]))
    paths = {key: pathlib.Path(value) for key, value in made.items()}
    server = Postgres(rows) if name.startswith("postgres") else None
    try:
        compare(name, WORKS[name](outport, paths | ({"postgres": server.url} if server else {})), rows, rounds)
    finally:
        if server:
            server.stop()


def compare(name: str, sides: dict, rows: int, rounds: int) -> None:
    """All sides in turns."""
    results = {side: [] for side in sides}
    for _ in range(rounds):
        for side, (command, _) in sides.items():
            results[side].append(measure(command))
    print(f"{name}, {rows:,} rows, median of {rounds} rounds in turns")
    ours = statistics.median(r[0] for r in results["outport"])
    for side, (_, path) in sides.items():
        seconds = statistics.median(r[0] for r in results[side])
        cpu = statistics.median(r[2] for r in results[side])
        memory = max(r[1] for r in results[side])
        ratio = "" if side == "outport" else f"  outport is {seconds / ours:.2f}x as fast"
        size = f"{path.stat().st_size:>14,} bytes" if path else " " * 20
        print(f"  {side:10} {seconds:7.2f} s  {cpu:7.2f} cpu s  {memory:7.0f} MiB  {size}{ratio}")


def main() -> None:
    # A process of its own, for the peak memory of a child is at least that of its parent.
    if sys.argv[1] in ("make", "folders"):
        paths = {"make": make, "folders": folders}[sys.argv[1]](int(sys.argv[2]))
        print(json.dumps({key: str(path) for key, path in paths.items()}))
        return
    outport, names, rows, rounds = sys.argv[1], [], 10_000_000, 3
    rest = iter(sys.argv[2:])
    for argument in rest:
        if argument == "--rows":
            rows = int(next(rest))
        elif argument == "--rounds":
            rounds = int(next(rest))
        else:
            names.append(argument)
    if not names or names == ["list"]:
        print("\n".join(WORKS))
        return
    for name in WORKS if names == ["all"] else names:
        if name not in WORKS:
            sys.exit(f"there is no benchmark {name}; there are: {', '.join(WORKS)}")
        run(name, outport, rows, rounds)


main()
