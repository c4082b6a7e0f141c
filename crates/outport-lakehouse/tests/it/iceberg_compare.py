"""iceberg_compare.py EXPECTED.json TABLE ARROW: fails unless the file holds exactly the expected rows, in any order."""

import json
import sys

import pyarrow.ipc

expected = json.load(open(sys.argv[1]))[sys.argv[2]]
found = json.loads(json.dumps(pyarrow.ipc.open_file(sys.argv[3]).read_all().to_pylist(), default=str))
order = lambda rows: sorted(json.dumps(row) for row in rows)
assert order(found) == order(expected), f"{sys.argv[2]}:\n{order(found)}\nexpected\n{order(expected)}"
