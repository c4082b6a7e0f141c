"""Reads a ZIP archive whose first entry has more than 4 GiB."""

import sys
import zipfile

path, size = sys.argv[1], int(sys.argv[2])
with zipfile.ZipFile(path) as archive:
    large, small = archive.infolist()
    assert large.file_size == size > 2**32, large
    assert archive.read(small) == b"a,b\n1"
    # The checksum is compared at the end of the entry.
    with archive.open(large) as entry:
        read = 0
        while chunk := entry.read(1 << 24):
            read += len(chunk)
        assert read == size, read
print("the large archive is read")
