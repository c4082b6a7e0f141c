"""Writes the demo's sources: `make_data.py FOLDER` begins, `make_data.py FOLDER --more` brings the orders of the last year."""

import json
import pathlib
import subprocess
import sys

import deltalake
import duckdb
import pyarrow as pa

ROOT = pathlib.Path(__file__).resolve().parent.parent
CUT = "1998-01-01"


def crates(folder: pathlib.Path) -> None:
    """The packages this program is built from, one JSON object a line."""
    metadata = json.loads(
        subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=ROOT, stderr=subprocess.DEVNULL)
    )
    with open(folder / "crates.ndjson", "w", encoding="utf-8") as out:
        for package in metadata["packages"]:
            record = {key: package[key] for key in ("name", "version", "license", "repository", "edition", "keywords")}
            record["dependencies"] = [
                {"name": d["name"], "requirement": d["req"], "optional": d["optional"]} for d in package["dependencies"]
            ]
            print(json.dumps(record, ensure_ascii=False), file=out)


def zones(folder: pathlib.Path) -> None:
    """The time-zone table, without its comments."""
    source = pathlib.Path("/usr/share/zoneinfo/zone1970.tab")
    if source.exists():
        lines = [line.split("\t")[:3] for line in source.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    else:
        import zoneinfo

        lines = [["", "", name] for name in sorted(zoneinfo.available_timezones())]
    text = "\n".join("\t".join(line) for line in [["codes", "coordinates", "tz"], *lines])
    (folder / "zones.tsv").write_text(text + "\n", encoding="utf-8")


def debian(folder: pathlib.Path) -> None:
    """Debian's package index as a Delta table, where there is one."""
    rows = []
    for index in sorted(pathlib.Path("/var/lib/apt/lists").glob("*_Packages")):
        for stanza in index.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
            if "Package" in fields:
                depends = [d.strip() for d in fields.get("Depends", "").split(",") if d.strip()]
                rows.append(
                    {
                        "package": fields["Package"], "version": fields["Version"], "section": fields.get("Section"),
                        "size": int(fields.get("Size", 0)), "sha256": fields.get("SHA256"), "depends": depends,
                        "description": fields.get("Description"),
                    }
                )
    if rows:
        deltalake.write_deltalake(folder / "debian_packages", pa.Table.from_pylist(rows))


def tpch(folder: pathlib.Path, database: pathlib.Path) -> None:
    """TPC-H at scale factor 0.2: line items as a Parquet folder, orders as a Delta table and in a DuckDB file."""
    raw = folder.parent / "tpch"
    generator = pathlib.Path(sys.executable).parent / "tpchgen-cli"
    subprocess.check_call([generator, "parquet", "-s", "0.2", "--tables=lineitem,orders", "--output-dir", raw])
    (folder / "lineitem").mkdir()
    (raw / "lineitem.parquet").rename(folder / "lineitem" / "lineitem.parquet")
    deltalake.write_deltalake(folder / "orders", orders(raw, f"< DATE '{CUT}'"))
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE TABLE orders AS FROM '{raw / 'orders.parquet'}'")


def orders(raw: pathlib.Path, condition: str) -> pa.Table:
    """The orders whose date meets a condition."""
    return duckdb.sql(f"FROM '{raw / 'orders.parquet'}' WHERE o_orderdate {condition}").to_arrow_table()


def more(folder: pathlib.Path) -> None:
    """The orders of the last year."""
    deltalake.write_deltalake(folder / "orders", orders(folder.parent / "tpch", f">= DATE '{CUT}'"), mode="append")


def main() -> None:
    base = pathlib.Path(sys.argv[1])
    lake = base / "lake"
    if "--more" in sys.argv:
        more(lake)
        return
    lake.mkdir(parents=True)
    crates(lake)
    zones(lake)
    debian(lake)
    tpch(lake, base / "shop.duckdb")


main()
