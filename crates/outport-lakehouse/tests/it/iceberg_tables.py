"""Writes Iceberg tables with pyiceberg and prints, as JSON, what a reader must find in them: {table: [[row], …]}.

iceberg_tables.py FOLDER
"""

import datetime
import decimal
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

root = sys.argv[1]
catalog = SqlCatalog("test", uri=f"sqlite:///{root}/catalog.db", warehouse=f"file://{root}/lake")
catalog.create_namespace("sales")
expected = {}


def create(name, schema, **more):
    return catalog.create_table(f"sales.{name}", schema, location=f"file://{root}/lake/{name}", **more)


def expect(table, name, scan=None):
    expected[name] = json.loads(json.dumps((scan or table.scan()).to_arrow().to_pylist(), default=str))


class DeleteManifestWriter(ManifestWriterV2):
    """pyiceberg writes no delete files; as manifests go they differ from data by their content only."""

    def content(self):
        return ManifestContent.DELETES

    @property
    def _meta(self):
        return {**super()._meta, "content": "deletes"}


class AppendDeletes(_FastAppendFiles):
    def new_manifest_writer(self, spec):
        return DeleteManifestWriter(
            spec, self._transaction.table_metadata.schema(), self.new_manifest_output(), self._snapshot_id, self._compression
        )


def add_deletes(table, content, data, field_ids, equality_ids=None, partition=None):
    path = f"{table.location()}/data/deletes-{content.name}-{len(table.history())}.parquet"
    fields = [f.with_metadata({"PARQUET:field_id": str(i)}) for f, i in zip(data.schema, field_ids)]
    pq.write_table(data.cast(pa.schema(fields)), path.removeprefix("file://"))
    file = DataFile.from_args(
        content=content,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=partition or Record(),
        record_count=len(data),
        file_size_in_bytes=os.path.getsize(path.removeprefix("file://")),
        equality_ids=equality_ids,
        column_sizes={},
        value_counts={},
        null_value_counts={},
        nan_value_counts={},
        lower_bounds={},
        upper_bounds={},
    )
    file.spec_id = table.spec().spec_id
    from pyiceberg.table.snapshots import Operation

    with table.transaction() as transaction:
        append = AppendDeletes(Operation.DELETE, transaction, table.io, None, {})
        append.append_data_file(file)
        append.commit()
    return catalog.load_table(table.name())


# Every primitive type, and nested ones.
types = create(
    "types",
    Schema(
        NestedField(1, "id", LongType(), required=True),
        NestedField(2, "small", IntegerType()),
        NestedField(3, "flag", BooleanType()),
        NestedField(4, "price", DecimalType(12, 2)),
        NestedField(5, "ratio", DoubleType()),
        NestedField(6, "Name", StringType()),
        NestedField(7, "day", DateType()),
        NestedField(8, "at", TimestampType()),
        NestedField(9, "seen", TimestamptzType()),
        NestedField(10, "tags", ListType(11, StringType(), element_required=False)),
        NestedField(12, "point", StructType(NestedField(13, "x", DoubleType()), NestedField(14, "y", DoubleType()))),
        NestedField(15, "counts", MapType(16, StringType(), 17, LongType(), value_required=False)),
        NestedField(18, "raw", BinaryType()),
    ),
)
rows = pa.Table.from_pylist(
    [
        {
            "id": i,
            "small": None if i == 2 else i,
            "flag": i % 2 == 0,
            "price": decimal.Decimal("12.34") * i,
            "ratio": i / 3,
            "Name": None if i == 1 else f"näme {i}",
            "day": datetime.date(1969 + i, 1, 1),
            "at": datetime.datetime(2024, 1, 1, i, 0, 0, 123456),
            "seen": datetime.datetime(2024, 1, 1, i, tzinfo=datetime.timezone.utc),
            "tags": [f"t{i}", None],
            "point": {"x": float(i), "y": None},
            "counts": [("a", i)],
            "raw": bytes([i]),
        }
        for i in range(4)
    ],
    schema=types.schema().as_arrow(),
)
types.append(rows)
expect(types, "types")

# Schema evolution: renamed, dropped, added, widened and moved columns, over files of both schemas.
evolved = create(
    "evolved",
    Schema(NestedField(1, "id", IntegerType()), NestedField(2, "old_name", StringType()), NestedField(3, "gone", StringType())),
)
evolved.append(pa.table({"id": pa.array([1, 2], pa.int32()), "old_name": ["a", "b"], "gone": ["x", "y"]}))
first_snapshot = evolved.current_snapshot().snapshot_id
with evolved.update_schema() as update:
    update.rename_column("old_name", "new_name")
    update.delete_column("gone")
    update.add_column("gone", LongType())
    update.update_column("id", LongType())
with evolved.update_schema() as update:
    update.move_first("new_name")
evolved.append(pa.table({"new_name": ["c"], "id": pa.array([3_000_000_000], pa.int64()), "gone": pa.array([7], pa.int64())}))
expect(evolved, "evolved")
expect(evolved, "evolved@first", evolved.scan(snapshot_id=first_snapshot))

# Partitions whose specification changed.
partitioned = create(
    "partitioned",
    Schema(NestedField(1, "id", LongType()), NestedField(2, "region", StringType()), NestedField(3, "at", TimestampType())),
    partition_spec=PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "region")),
)


def some(start):
    return pa.table(
        {
            "id": pa.array(range(start, start + 4), pa.int64()),
            "region": ["eu", "us", None, "a b/ü"],
            "at": pa.array([datetime.datetime(2024, 1, d) for d in range(1, 5)], pa.timestamp("us")),
        }
    )


partitioned.append(some(0))
with partitioned.update_spec() as update:
    update.add_field("at", DayTransform(), "day")
    update.remove_field("region")
    update.add_field("id", BucketTransform(3), "bucket")
partitioned.append(some(4))
expect(partitioned, "partitioned")

# Rows that were deleted by rewriting files.
rewritten = create("rewritten", Schema(NestedField(1, "id", LongType())))
rewritten.append(pa.table({"id": pa.array(range(10), pa.int64())}))
rewritten.delete("id >= 5")
expect(rewritten, "rewritten")

# Rows that were deleted by position.
positions = create("positions", Schema(NestedField(1, "id", LongType()), NestedField(2, "v", StringType())))
positions.append(pa.table({"id": pa.array(range(10), pa.int64()), "v": [str(i) for i in range(10)]}))
positions.append(pa.table({"id": pa.array(range(10, 20), pa.int64()), "v": [str(i) for i in range(10, 20)]}))
files = sorted(task.file.file_path for task in positions.scan().plan_files())
first = next(f for f in files if pq.read_table(f.removeprefix("file://"))["id"][0].as_py() == 0)
positions = add_deletes(
    positions,
    DataFileContent.POSITION_DELETES,
    pa.table({"file_path": [first] * 3, "pos": pa.array([0, 3, 9], pa.int64())}),
    [2147483546, 2147483545],
)
expect(positions, "positions")
assert len(expected["positions"]) == 17

# Rows that were deleted by value, and one that came back afterwards. pyiceberg cannot read these.
equality = create("equality", Schema(NestedField(1, "id", LongType()), NestedField(2, "v", StringType())))
equality.append(pa.table({"id": pa.array(range(10), pa.int64()), "v": [None if i == 4 else str(i) for i in range(10)]}))
equality = add_deletes(
    equality, DataFileContent.EQUALITY_DELETES, pa.table({"id": pa.array([2, 7], pa.int64())}), [1], equality_ids=[1]
)
equality = add_deletes(equality, DataFileContent.EQUALITY_DELETES, pa.table({"v": pa.array([None, "8"])}), [2], equality_ids=[2])
equality.append(pa.table({"id": pa.array([2], pa.int64()), "v": ["back"]}))
expected["equality"] = [{"id": i, "v": str(i)} for i in range(10) if i not in (2, 4, 7, 8)] + [{"id": 2, "v": "back"}]

# No rows and no snapshot.
create("empty", Schema(NestedField(1, "id", LongType())))
expected["empty"] = []

print(json.dumps({"tables": expected, "first_snapshot": first_snapshot}))
