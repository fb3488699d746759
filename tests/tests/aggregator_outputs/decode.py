"""Reads IPFIX messages from standard input with PyPI's `ipfix`; prints a JSON object per record.

The argument is the table of elements, from which those of enterprise 56506 and of newer numbers are
taken. `ipfix` knows no element twice, so names that IANA has stay IANA's.
"""

import calendar
import csv
import datetime
import io
import json
import sys
import uuid

import ipfix.ie
import ipfix.reader

ipfix.ie.use_iana_default()
ipfix.ie.use_5103_default()
with open(sys.argv[1], newline="") as table:
    for row in csv.DictReader(table):
        kind, length = row["type"], row["length"]
        if row["pen"] == "56506":
            ipfix.ie.for_spec(f"{row['name']}(56506/{row['id']})<{kind}>[{length}]")
        elif row["name"].startswith("original"):
            ipfix.ie.for_spec(f"{row['name']}({row['id']})<{kind}>[{length}]")


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return str(uuid.UUID(bytes=bytes(value)))
    return str(value)


def number(name, value):
    """Times as the numbers that they are on the wire."""
    if not isinstance(value, datetime.datetime):
        return value
    seconds = calendar.timegm(value.utctimetuple())
    return seconds * 1000 + value.microsecond // 1000 if "Milliseconds" in name else seconds


reader = ipfix.reader.from_stream(io.BytesIO(sys.stdin.buffer.read()))
for record in reader.namedict_iterator():
    record = {name: number(name, value) for name, value in record.items()}
    print(json.dumps(record, default=plain))
