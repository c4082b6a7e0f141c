"""A stand-in for the XML API of Google Cloud Storage, after its published reference: put, get with ranges, head, delete, list
(version 2, with delimiter), ifGenerationMatch, and multipart uploads. It is not Google's: it shows that the requests are made in
an order that makes sense, not that Google accepts them. GET /uploads lists the open uploads, one key a line.
"""

import hashlib
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

OBJECTS, UPLOADS, LOCK = {}, {}, threading.Lock()
DATE, ISO = "Wed, 01 Jan 2025 00:00:00 GMT", "2025-01-01T00:00:00.000Z"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers would wait for the acknowledgement of their headers.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "content-length" for name, _ in headers):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def parts(self):
        url = urllib.parse.urlsplit(self.path)
        bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        return bucket, key, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def handle_any(self):
        bucket, key, query = self.parts()
        body = self.body()
        with LOCK:
            if bucket == "uploads":
                return self.answer(200, "\n".join(k for k, _ in UPLOADS.values()).encode())
            if not key and self.command == "GET":
                return self.list(query)
            return getattr(self, "do_object_" + self.command)(key, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def list(self, query):
        if "uploads" in query:
            return self.list_uploads(query)
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        contents, prefixes = [], set()
        for key in sorted(k for k in OBJECTS if k.startswith(prefix)):
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                prefixes.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            data = OBJECTS[key]
            contents.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{ISO}</LastModified><ETag>{tag(data)}</ETag><Size>{len(data)}</Size></Contents>"
            )
        folders = "".join(f"<CommonPrefixes><Prefix>{escape(p)}</Prefix></CommonPrefixes>" for p in sorted(prefixes))
        xml = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(contents)}{folders}</ListBucketResult>"
        self.answer(200, xml.encode())

    def list_uploads(self, query):
        found = sorted((key, id) for id, (key, _) in UPLOADS.items() if key.startswith(query.get("prefix", "")))
        uploads = "".join(f"<Upload><Key>{escape(key)}</Key><UploadId>{id}</UploadId></Upload>" for key, id in found)
        xml = f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{uploads}</ListMultipartUploadsResult>"
        self.answer(200, xml.encode())

    def do_object_GET(self, key, query, _body):
        if "uploadId" in query:
            parts = "".join(f"<Part><PartNumber>{n}</PartNumber></Part>" for n in UPLOADS[query["uploadId"]][1])
            return self.answer(200, f"<ListPartsResult>{parts}</ListPartsResult>".encode())
        if key not in OBJECTS:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        data = OBJECTS[key]
        headers = [("etag", tag(data)), ("last-modified", DATE)]
        wanted = self.headers.get("range")
        if wanted:
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            start, end = int(start), min(int(end or len(data) - 1), len(data) - 1)
            headers.append(("content-range", f"bytes {start}-{end}/{len(data)}"))
            return self.answer(206, data[start : end + 1], headers)
        self.answer(200, data, headers + [("content-length", str(len(data)))])

    do_object_HEAD = do_object_GET

    def do_object_PUT(self, key, query, body):
        if "uploadId" in query:
            if query["uploadId"] not in UPLOADS:
                return self.answer(404, b"<Error><Code>NoSuchUpload</Code></Error>")
            UPLOADS[query["uploadId"]][1][int(query["partNumber"])] = body
            return self.answer(200, headers=[("etag", tag(body))])
        if self.headers.get("x-goog-if-generation-match") == "0" and key in OBJECTS:
            return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        OBJECTS[key] = body
        self.answer(200, headers=[("etag", tag(body)), ("x-goog-generation", "1")])

    def do_object_POST(self, key, query, body):
        if "uploads" in query:
            upload = str(len(UPLOADS) + id(body))
            UPLOADS[upload] = (key, {})
            xml = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            return self.answer(200, xml.encode())
        if query.get("uploadId") not in UPLOADS:
            return self.answer(404, b"<Error><Code>NoSuchUpload</Code></Error>")
        _, parts = UPLOADS.pop(query["uploadId"])
        OBJECTS[key] = b"".join(parts[n] for n in sorted(parts))
        xml = f"<CompleteMultipartUploadResult><ETag>{tag(OBJECTS[key])}</ETag></CompleteMultipartUploadResult>"
        self.answer(200, xml.encode(), [("x-goog-generation", "1")])

    def do_object_DELETE(self, key, query, _body):
        if "uploadId" in query:
            return self.answer(204 if UPLOADS.pop(query["uploadId"], None) else 404)
        self.answer(204 if OBJECTS.pop(key, None) is not None else 404)


def tag(data):
    return '"' + hashlib.md5(data).hexdigest() + '"'


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
