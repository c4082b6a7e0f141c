"""Writes one Avro file for each codec into a folder: write_avro.py FOLDER"""

import sys

import fastavro

schema = {
    "type": "record",
    "name": "row",
    "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}],
}
rows = [{"id": i, "name": None if i % 10 == 0 else f"name {i}"} for i in range(5000)]
for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]:
    with open(f"{sys.argv[1]}/{codec}.avro", "wb") as out:
        fastavro.writer(out, schema, rows, codec=codec)
    print(codec)
