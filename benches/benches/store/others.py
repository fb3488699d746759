"""Asks DataFusion or DuckDB, and prints what each query took of the CPU.

others.py ENGINE THREADS ROUNDS DIRECTORY QUERIES
"""

import json
import re
import resource
import sys


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rows(table):
    """Times as numbers: making them Python's would be measured as well."""
    import pyarrow

    times = [pyarrow.types.is_timestamp(column.type) for column in table.schema]
    columns = [
        column.cast("int64") if is_time else column
        for column, is_time in zip(table.columns, times)
    ]
    return list(zip(*(column.to_pylist() for column in columns)))


def datafusion(threads, directory):
    from datafusion import SessionConfig, SessionContext

    config = SessionConfig().with_target_partitions(threads)
    config = config.set("datafusion.execution.parquet.pushdown_filters", "true")
    config = config.set("datafusion.execution.listing_table_ignore_subdirectory", "false")
    context = SessionContext(config)
    context.register_parquet("flows", directory, file_extension=".parquet")
    fill = {
        "time": lambda ms: f"to_timestamp_millis({ms})",
        "bucket": lambda ms: f"date_bin(interval '{int(ms) // 60000} minutes', \"flowEndMilliseconds\")",
    }

    return (lambda sql: rows(context.sql(sql).to_arrow_table())), fill


def duckdb(threads, directory):
    import duckdb as engine

    connection = engine.connect()
    connection.execute(f"set threads = {threads}")
    connection.execute("set timezone = 'UTC'")
    connection.execute(f"create view flows as from read_parquet('{directory}/**/*.parquet')")
    fill = {
        "time": lambda ms: f"make_timestamptz({ms} * 1000)",
        "bucket": lambda ms: f"time_bucket(interval '{int(ms) // 60000} minutes', \"flowEndMilliseconds\")",
    }
    return (lambda sql: rows(connection.execute(sql).to_arrow_table())), fill


def summary(sql, rows):
    """How many rows or groups, and the sum of their first aggregate, as the store's side has it."""
    if "limit 100" in sql and "all_groups" not in sql:
        return [len(rows), 0]
    if "all_groups" not in sql:
        return [len(rows), int(sum(row[-1] for row in rows))]
    keys = len(re.search(r"group by (.*?)\)", sql).group(1).split(","))
    return [int(rows[0][-1]), int(sum(row[keys] for row in rows))]


def main():
    engine, threads, rounds, directory, queries = sys.argv[1:]
    ask, fill = {"datafusion": datafusion, "duckdb": duckdb}[engine](int(threads), directory)
    results = {}
    for name, sql in json.loads(queries).items():
        sql = re.sub(r"\{(\w+) (\d+)\}", lambda found: fill[found[1]](found[2]), sql)
        times = []
        for _ in range(int(rounds) + 1):
            begun = cpu()
            found = ask(sql)
            times.append(cpu() - begun)
        results[name] = {"ms": min(times) * 1000, "answer": summary(sql, found)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results["peak_mb"] = peak // 1024
    print(json.dumps(results))


main()
