"""covid.py TABLE: counts, sums and bounds over the Parquet files that the first commit of the table adds."""

import json
import os
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

log = os.path.join(sys.argv[1], "_delta_log", "00000000000000000000.json")
adds = [json.loads(line)["add"]["path"] for line in open(log) if '"add"' in line[:8]]
t = pa.concat_tables(pq.read_table(os.path.join(sys.argv[1], path)) for path in adds)
text = pc.sum(pc.utf8_length(pc.binary_join_element_wise(t["county"], t["state"], "")))
numbers = [
    t.num_rows, pc.sum(t["cases"]), pc.sum(t["deaths"]), len(t) - t["fips"].null_count, pc.min(t["date"]), pc.max(t["date"]),
    pc.count_distinct(t["county"]), text,
]
print(*numbers)
