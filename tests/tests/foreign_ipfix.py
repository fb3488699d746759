"""Reads IPFIX messages from standard input with PyPI's `ipfix`; prints a JSON object per record."""

import io
import json
import sys

import ipfix.ie
import ipfix.reader

ipfix.ie.use_iana_default()
ipfix.ie.use_5103_default()
for name, number, kind in json.loads(sys.argv[1]):
    length = {"unsigned8": 1, "unsigned16": 2, "ipv4Address": 4, "ipv6Address": 16, "string": 65535}[kind]
    ipfix.ie.for_spec(f"{name}(56506/{number})<{kind}>[{length}]")

reader = ipfix.reader.from_stream(io.BytesIO(sys.stdin.buffer.read()))
for record in reader.namedict_iterator():
    print(json.dumps(list(record.items()), default=str))
