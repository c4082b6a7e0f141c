"""Runs Outport and its peers in turns on the same data and prints medians, ratios and peak memory.

    run.py OUTPORT list
    run.py OUTPORT NAME [--rows N] [--rounds N]

Every side is a process of its own; wall time and peak memory are the operating system's for that process.
"""

import os
import pathlib
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
POLARS = "import polars as pl; {code}"


def make(rows: int) -> dict:
    """The data sets, made once."""
    folder = DATA / str(rows)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / name for name in ("sra.parquet", "sra.csv", "sra.duckdb", "delta")}
    paths["out"] = folder / "out"
    paths["out"].mkdir(exist_ok=True)
    import duckdb

    if not paths["sra.parquet"].exists():
        duckdb.sql(f"copy ({SRA.format(rows=rows)}) to '{paths['sra.parquet']}' (format parquet, compression zstd, row_group_size 122880)")
    if not paths["sra.csv"].exists():
        duckdb.sql(f"copy (from '{paths['sra.parquet']}') to '{paths['sra.csv']}' (format csv)")
    if not paths["sra.duckdb"].exists():
        with duckdb.connect(str(paths["sra.duckdb"])) as connection:
            connection.execute(f"create table sra as from '{paths['sra.parquet']}'")
    return paths


def copy_work(source: str, target: str, options: str, polars: str):
    """A file-to-file copy: ours, DuckDB's COPY, Polars' streaming sink."""

    def sides(outport: str, p: dict) -> dict:
        src, out = p[source], p["out"]
        extension = target
        reader = f"read_csv('{src}')" if source.endswith(".csv") else f"'{src}'"
        return {
            "outport": ([outport, "copy", str(src), f"{out}/ours.{extension}"], out / f"ours.{extension}"),
            "duckdb": ([sys.executable, "-c", DUCKDB.format(sql=f"copy (from {reader}) to '{out}/duck.{extension}' ({options})")], out / f"duck.{extension}"),
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


WORKS = {
    "parquet-parquet": copy_work("sra.parquet", "parquet", "format parquet, compression zstd", "pl.scan_parquet('{src}').sink_parquet('{out}', compression='zstd')"),
    "parquet-csv": copy_work("sra.parquet", "csv", "format csv", "pl.scan_parquet('{src}').sink_csv('{out}')"),
    "parquet-ndjson": copy_work("sra.parquet", "ndjson", "format json", "pl.scan_parquet('{src}').sink_ndjson('{out}')"),
    "csv-parquet": copy_work("sra.csv", "parquet", "format parquet, compression zstd", "pl.scan_csv('{src}', try_parse_dates=True).sink_parquet('{out}', compression='zstd')"),
    "duckdb-parquet": duckdb_table,
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
    """One work, all sides in turns."""
    sides = WORKS[name](outport, make(rows))
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
        print(f"  {side:8} {seconds:7.2f} s  {cpu:7.2f} cpu s  {memory:7.0f} MiB  {path.stat().st_size:>14,} bytes{ratio}")


def main() -> None:
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
