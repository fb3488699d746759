"""Prints what the same rows, in the order in which they came, take as Parquet files of others, and
how long these write them: nanoseconds a record of CPU time, as JSON in the last line.

others.py DIRECTORY: its first million rows, in row groups as they are there.
"""

import glob
import json
import os
import sys
import tempfile
import time

import duckdb
import pyarrow.parquet as parquet

ROWS = 1_000_000
# What lies within a batch is not known any more: by time, which if anything helps.
ORDER = ["timeInserted", "flowEndMilliseconds"]


def by_pyarrow(table, path, level):
    parquet.write_table(table, path, compression="zstd", compression_level=level)


def by_duckdb(table_, path, level):
    duckdb.sql(
        f"copy (from table_) to '{path}' (format parquet, parquet_version v2, compression zstd, "
        f"compression_level {level}, row_group_size 131072)"
    )


def main():
    rows, sizes, times = 0, {}, {}
    with tempfile.TemporaryDirectory() as aside:
        path = os.path.join(aside, "rows.parquet")
        for file in sorted(glob.glob(f"{sys.argv[1]}/**/*.parquet", recursive=True)):
            if rows >= ROWS:
                break
            table = parquet.read_table(file)
            rows += table.num_rows
            table = table.sort_by([(name, "ascending") for name in ORDER])
            for write in [by_pyarrow, by_duckdb]:
                for level in [1, 3]:
                    begun = time.process_time_ns()
                    write(table, path, level)
                    took = time.process_time_ns() - begun
                    name = f"{write.__name__.removeprefix('by_')}, zstd {level}"
                    sizes[name] = sizes.get(name, 0) + os.path.getsize(path)
                    times[name] = times.get(name, 0) + took
    for name, size in sizes.items():
        print(f"  {name:<15} {size / rows:4.1f} bytes, {times[name] / rows:.0f} ns a record")
    print(json.dumps({name: took / rows for name, took in times.items()}))


main()
