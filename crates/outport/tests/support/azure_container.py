"""Creates a container: azure_container.py ENDPOINT ACCOUNT KEY CONTAINER. The program under test creates none."""

import base64
import datetime
import hashlib
import hmac
import sys
import urllib.request

endpoint, account, key, container = sys.argv[1:]
now = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
version = "2021-12-02"
canonical = f"PUT{chr(10) * 12}x-ms-date:{now}\nx-ms-version:{version}\n/{account}/{account}/{container}\nrestype:container"
signature = base64.b64encode(hmac.new(base64.b64decode(key), canonical.encode(), hashlib.sha256).digest()).decode()
headers = {"x-ms-date": now, "x-ms-version": version, "authorization": f"SharedKey {account}:{signature}"}
urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{container}?restype=container", method="PUT", headers=headers))
