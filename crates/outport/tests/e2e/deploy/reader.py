"""A web server with range requests, and a file system of DuckDB's that reads from it: no extension is needed.

serve FOLDER           serves a folder and prints its port
read DATABASE SQL…     runs a query on the database, which reads the views over HTTP; prints the rows as JSON
"""

import datetime
import http.server
import json
import os
import re
import sys
import urllib.request


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.translate_path(self.path)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted or not os.path.isfile(path):
            return super().do_GET()
        with open(path, "rb") as file:
            size = os.path.getsize(path)
            start, end = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
            file.seek(start)
            body = file.read(end - start + 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def file_system():
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

    class Ranges(AbstractFileSystem):
        protocol = "http"

        def info(self, path, **_):
            with urllib.request.urlopen(urllib.request.Request(path, method="HEAD")) as answer:
                return {"name": path, "size": int(answer.headers["Content-Length"]), "type": "file"}

        def exists(self, path, **_):
            return True

        def modified(self, path):
            return datetime.datetime(2026, 1, 1)

        def glob(self, path, **_):
            return [path]

        @classmethod
        def _strip_protocol(cls, path):
            return path

        def _open(self, path, mode="rb", **options):
            return Buffered(self, path, mode, **{k: v for k, v in options.items() if k in ("block_size",)})

    class Buffered(AbstractBufferedFile):
        def _fetch_range(self, start, end):
            request = urllib.request.Request(self.path, headers={"Range": f"bytes={start}-{end - 1}"})
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 206, answer.status
                return answer.read()

    return Ranges()


if sys.argv[1] == "serve":
    os.chdir(sys.argv[2])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
else:
    import duckdb

    connection = duckdb.connect(sys.argv[2], read_only=True)
    connection.register_filesystem(file_system())
    rows = {sql: connection.execute(sql).fetchall() for sql in sys.argv[3:]}
    print(json.dumps({"version": duckdb.__version__, "rows": rows}, default=str))
