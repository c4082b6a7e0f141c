"""A Delta reader with nothing in common with ours: log replay in Python, files by pyarrow, deletion vectors by pyroaring.

delta_reference.py TABLE         prints the number of rows
delta_reference.py TABLE ARROW   compares the rows of an Arrow file with those of the table; prints the number of rows
"""

import base64
import datetime
import decimal
import json
import os
import struct
import sys
import urllib.parse
import zlib

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pyroaring


def log_actions(table):
    """The state after the last commit: metadata and live files."""
    log = os.path.join(table, "_delta_log")
    names = sorted(os.listdir(log))
    checkpoints = [n for n in names if ".checkpoint" in n and not n.endswith(".crc") and os.path.getsize(os.path.join(log, n))]
    start, actions = -1, []
    if checkpoints:
        start = max(int(n[:20]) for n in checkpoints)
        for name in [n for n in checkpoints if int(n[:20]) == start]:
            path = os.path.join(log, name)
            if name.endswith(".json"):
                rows = [json.loads(line) for line in open(path)]
            else:
                rows = pq.read_table(path).to_pylist()
            actions += rows
            for row in rows:
                if row.get("sidecar"):
                    actions += pq.read_table(os.path.join(log, "_sidecars", row["sidecar"]["path"])).to_pylist()
    for name in names:
        if len(name) == 25 and name.endswith(".json") and int(name[:20]) > start:
            actions += [json.loads(line) for line in open(os.path.join(log, name)) if line.strip()]
    metadata, files = None, {}
    for action in actions:
        if action.get("metaData"):
            metadata = action["metaData"]
        for kind in ("add", "remove"):
            if action.get(kind):
                entry = action[kind]
                vector = entry.get("deletionVector")
                key = (entry["path"], vector and (vector["pathOrInlineDv"], vector.get("offset")))
                if kind == "add":
                    files[key] = entry
                else:
                    files.pop(key, None)
    return metadata, list(files.values())


def z85(text):
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    out = b""
    for at in range(0, len(text), 5):
        value = 0
        for char in text[at : at + 5]:
            value = value * 85 + alphabet.index(char)
        out += struct.pack(">I", value)
    return out


def deleted(table, vector):
    kind, text = vector["storageType"], vector["pathOrInlineDv"]
    if kind == "i":
        blob = z85(text)
    else:
        if kind == "u":
            raw = z85(text[-20:]).hex()
            uuid = f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
            path = os.path.join(table, text[:-20], f"deletion_vector_{uuid}.bin")
        else:
            path = urllib.parse.unquote(urllib.parse.urlparse(text).path)
        data = open(path, "rb").read()
        at = vector.get("offset") or 1
        (size,) = struct.unpack(">I", data[at : at + 4])
        blob = data[at + 4 : at + 4 + size]
        (checksum,) = struct.unpack(">I", data[at + 4 + size : at + 8 + size])
        assert checksum == zlib.crc32(blob)
    assert struct.unpack("<I", blob[:4]) == (1681511377,)
    rows = pyroaring.BitMap64.deserialize(blob[4:])
    assert len(rows) == vector["cardinality"]
    return set(rows)


def physical(field):
    return field.get("metadata", {}).get("delta.columnMapping.physicalName", field["name"])


def named(value, kind):
    """Structs inside get logical names."""
    if value is None or isinstance(kind, str):
        return value
    if kind["type"] == "struct":
        return {f["name"]: named(value.get(physical(f)), f["type"]) for f in kind["fields"]}
    if kind["type"] == "array":
        return [named(v, kind["elementType"]) for v in value]
    return [(named(k, kind["keyType"]), named(v, kind["valueType"])) for k, v in value]


def partition(text, kind):
    if text is None or text == "":
        return None
    if kind in ("byte", "short", "integer", "long"):
        return int(text)
    if kind in ("float", "double"):
        return float(text)
    if kind == "boolean":
        return text == "true"
    if kind == "date":
        return datetime.date.fromisoformat(text)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    if kind.startswith("decimal"):
        return decimal.Decimal(text)
    if kind == "binary":
        return text.encode()
    return text


def read(table):
    metadata, files = log_actions(table)
    fields = json.loads(metadata["schemaString"])["fields"]
    partitions = metadata.get("partitionColumns") or []
    rows = []
    for entry in files:
        path = os.path.join(table, urllib.parse.unquote(entry["path"]))
        data = pq.ParquetFile(path).read()
        gone = deleted(table, entry["deletionVector"]) if entry.get("deletionVector") else set()
        values = dict(entry.get("partitionValues") or {})
        columns = {}
        for field in fields:
            if field["name"] in partitions:
                columns[field["name"]] = [partition(values.get(physical(field)), field["type"])] * data.num_rows
            elif physical(field) in data.column_names:
                columns[field["name"]] = [named(v, field["type"]) for v in plain(data.column(physical(field)))]
            else:
                columns[field["name"]] = [None] * data.num_rows
        for at in range(data.num_rows):
            if at not in gone:
                rows.append(tuple(columns[f["name"]][at] for f in fields))
    return [f["name"] for f in fields], rows


def plain(column):
    """Values as Python has them; timestamps that Python has no room for as microseconds."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64()).to_pylist()
    return column.to_pylist()


def canonical(value):
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return repr(round((value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(microseconds=1)))
    if isinstance(value, dict):
        return repr({k: canonical(v) for k, v in sorted(value.items())})
    if isinstance(value, (list, tuple)):
        return repr([canonical(v) for v in value])
    return repr(value)


def main():
    names, rows = read(sys.argv[1])
    if len(sys.argv) > 2:
        ours = pa.ipc.open_file(sys.argv[2]).read_all()
        assert ours.column_names == names, (ours.column_names, names)
        columns = [plain(ours.column(n)) for n in names]
        found = sorted(tuple(map(canonical, row)) for row in zip(*columns))
        expected = sorted(tuple(map(canonical, row)) for row in rows)
        assert len(found) == len(expected), (len(found), len(expected))
        for ours, theirs in zip(found, expected):
            assert ours == theirs, (ours, theirs)
    print(len(rows))


main()
