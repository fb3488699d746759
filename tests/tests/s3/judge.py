"""What a bucket has, as boto3, gzip, csv and pyarrow see it: none of our code.

judge.py ENDPOINT make BUCKET
judge.py ENDPOINT rows BUCKET      a line of JSON per object: key, rows (or columns and rows)
judge.py ENDPOINT texts BUCKET     a line of JSON per object: key, text
judge.py ENDPOINT uploads BUCKET   how many uploads in parts are unfinished
"""

import csv
import io
import json
import sys
import zlib

import boto3
from botocore.config import Config

endpoint, command, bucket = sys.argv[1:4]
s3 = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="test-key",
    aws_secret_access_key="test-secret",
    config=Config(s3={"addressing_style": "path"}),
)


def objects():
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            yield entry["Key"], s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()


def unpacked(key, body):
    if not key.endswith(".gz"):
        return body
    member = zlib.decompressobj(wbits=31)
    text = member.decompress(body)
    assert member.eof and not member.unused_data, f"{key} is not one member"
    return text


def rows(key, body):
    if key.endswith(".parquet"):
        import pyarrow.parquet as parquet

        table = parquet.read_table(io.BytesIO(body))
        columns = [(field.name, str(field.type)) for field in table.schema]
        values = [[str(value) for value in row.values()] for row in table.to_pylist()]
        return {"key": key, "columns": columns, "rows": values}
    text = unpacked(key, body).decode()
    assert text.endswith("\n") and "\r" not in text, key
    return {"key": key, "rows": list(csv.reader(io.StringIO(text), quotechar="'"))}


if command == "make":
    s3.create_bucket(Bucket=bucket)
elif command == "rows":
    for key, body in objects():
        print(json.dumps(rows(key, body)))
elif command == "texts":
    for key, body in objects():
        print(json.dumps({"key": key, "text": unpacked(key, body).decode()}))
elif command == "uploads":
    print(len(s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])))
else:
    sys.exit(f"unknown command {command}")
