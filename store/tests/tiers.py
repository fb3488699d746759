"""Compares the sums of each tier with the records, bucket by bucket and key by key.

Records of hours that are not over have no sums yet and are left out: sums say of which insertion
hours they are by their names. Arguments: the directory of a store.
"""
import glob
import os
import re
import sys

import duckdb

root = sys.argv[1]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
NUMBERS = re.compile(r"(\d{10,})-(\d{10,})_r")


def numbers(path):
    return tuple(int(n) for n in NUMBERS.search(os.path.basename(path)).groups())


raw = sorted(glob.glob(f"{root}/flows/*/*/*.parquet"))
told = []
for tier, step in [("1m", 60_000), ("5m", 300_000), ("1h", 3_600_000)]:
    files = sorted(glob.glob(f"{root}/tiers/{tier}/*/*.parquet"))

    def covers(sums, record):
        day, hour = record.split("/")[-3:-1]
        name = os.path.basename(sums)
        same = sums.split("/")[-2] == day and (name[2] != "_" or name[:2] == hour)
        (a, b), (c, d) = numbers(sums), numbers(record)
        return same and a <= c and d <= b

    # Sums of which some records were dropped are left out, and so are the others of these.
    used, covered = [], []
    for sums in files:
        records = [record for record in raw if covers(sums, record)]
        spans = [numbers(record) for record in records]
        if records and (min(spans)[0], max(b for _, b in spans)) == numbers(sums):
            used.append(sums)
            covered += records
    columns = [row[0] for row in db.execute("DESCRIBE SELECT * FROM read_parquet($1)", [used]).fetchall()]
    metrics = [c for c in columns if "DeltaCount" in c]
    times = ["flowStartMilliseconds", "flowEndMilliseconds"]
    counts = ["records", "flowsStarted", "flowsEnded"]
    keys = [c for c in columns if c not in metrics + times + counts + ["timeBucket"]]
    assert len(metrics) == 12 and len(keys) >= 20, columns
    sums = ", ".join(f'least(sum("{m}"::HUGEINT), 18446744073709551615)' for m in metrics)
    key = ", ".join(f'"{k}"' for k in keys)
    first = " AND ".join(
        f'"{m}" = "{m.replace("Delta", "Total")}"' for m in metrics if "Node" not in m)
    of_records = f"""
        SELECT epoch_ms(flowEndMilliseconds) // {step} * {step} AS bucket, {key},
               epoch_ms(min(flowStartMilliseconds)), epoch_ms(max(flowEndMilliseconds)), {sums},
               count(*)::HUGEINT, count_if({first})::HUGEINT, count_if(flowEndReason = 3)::HUGEINT
        FROM read_parquet($1) GROUP BY ALL"""
    of_sums = f"""
        SELECT epoch_ms(timeBucket) AS bucket, {key},
               epoch_ms(min(flowStartMilliseconds)), epoch_ms(max(flowEndMilliseconds)), {sums},
               sum(records)::HUGEINT, sum(flowsStarted)::HUGEINT, sum(flowsEnded)::HUGEINT
        FROM read_parquet($1) GROUP BY ALL"""
    a = sorted(db.execute(of_records, [covered]).fetchall(), key=repr)
    b = sorted(db.execute(of_sums, [used]).fetchall(), key=repr)
    assert a == b, f"{tier}: {[(x, y) for x, y in zip(a, b) if x != y][:2]}, {len(a)}, {len(b)}"
    assert a, tier
    told.append(tier)
print("raw", *told, "agree")
