"""Writes a small lakehouse with writers that are not ours, and prints what their readers find in it: {table: [[value, ...], ...]}.

lake.py OPTIONS   OPTIONS is JSON:
  folder          the URL that delta-rs writes to, and its storage options in `delta`
  iceberg_folder  the same for pyiceberg, and its properties in `iceberg`
  upload          where files are posted to afterwards, for a store that neither of them can write to
"""

import csv
import datetime
import io
import json
import os
import sys
import tempfile
import urllib.parse
import urllib.request

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

options = json.loads(sys.argv[1])
folder, iceberg_folder = options["folder"], options["iceberg_folder"]
found = {}


def find(name, table):
    rows = sorted(table.select(["id", "region", "amount", "day"]).to_pylist(), key=lambda row: row["id"])
    found[name] = [["" if value is None else str(value) for value in row.values()] for row in rows]


def rows(start, end):
    ids = range(start, end)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "region": pa.array([["north", "süd", "far west"][i % 3] for i in ids]),
            "amount": pa.array([None if i % 7 == 0 else i * 0.5 for i in ids], pa.float64()),
            "day": pa.array([datetime.date(2025, 1, 1 + i % 28) for i in ids]),
        }
    )


# A partitioned Delta table of several versions, one of which took rows away.
delta = {"storage_options": options["delta"]} if options["delta"] else {}
for start in (0, 100, 200):
    deltalake.write_deltalake(f"{folder}/Tables/orders", rows(start, start + 100), mode="append", partition_by=["region"], **delta)
table = deltalake.DeltaTable(f"{folder}/Tables/orders", **delta)
table.delete("id >= 250")
table.create_checkpoint()
deltalake.write_deltalake(table, rows(300, 310), mode="append")
find("orders", deltalake.DeltaTable(f"{folder}/Tables/orders", **delta).to_pyarrow_table())

# An Iceberg table of several snapshots, one of which took rows away. The catalog itself is thrown away.
with tempfile.TemporaryDirectory() as scratch:
    catalog = SqlCatalog("lake", uri=f"sqlite:///{scratch}/catalog.db", **options["iceberg"])
    catalog.create_namespace("lake")
    visits = catalog.create_table("lake.visits", rows(0, 1).schema, location=f"{iceberg_folder}/Tables/visits")
    for start in (0, 100, 200):
        visits.append(rows(start, start + 100))
    visits.delete("id >= 250")
    visits.append(rows(300, 310))
    find("visits", catalog.load_table("lake.visits").scan().to_arrow())

    # Plain files: a folder of Parquet, and one of text.
    def write(name, data):
        with visits.io.new_output(f"{iceberg_folder}/{name}").create() as file:
            file.write(data)

    for part in range(3):
        parquet = io.BytesIO()
        pq.write_table(rows(part * 50, part * 50 + 50), parquet)
        write(f"readings/part {part}.parquet", parquet.getvalue())
    find("readings", rows(0, 150))
    text = io.StringIO()
    birds = rows(0, 40).to_pylist()
    writer = csv.DictWriter(text, birds[0])
    writer.writeheader()
    writer.writerows(birds)
    write("birds.csv", text.getvalue().encode())
    find("birds", rows(0, 40))

if options.get("upload"):
    root = folder.removeprefix("file://")
    for above, _, names in os.walk(root):
        for name in names:
            path = os.path.join(above, name)
            key = urllib.parse.quote(f"lake/{os.path.relpath(path, root)}", safe="")
            with open(path, "rb") as file:
                request = urllib.request.Request(f"{options['upload']}?uploadType=media&name={key}", file.read(), method="POST")
            urllib.request.urlopen(request).read()
print(json.dumps(found))
