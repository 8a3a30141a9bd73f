"""Compares what was posted with what arrived: report.py POSTED RECEIVED."""

import json
import sys
from collections import Counter
from pathlib import Path


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines() if line.startswith("{")]


def main(posted, received):
    ids = {event["id"] for event in lines(posted)}
    arrivals = lines(received)
    times = Counter(arrival["event"] for arrival in arrivals)
    moments = sorted(arrival["at"] for arrival in arrivals)
    pause = max(later - earlier for earlier, later in zip(moments, moments[1:]))
    print(f"{len(ids)} events accepted, {len(ids - times.keys())} of them missing")
    print(f"{sum(times.values()) - len(times)} duplicates")
    print(f"longest pause of deliveries: {pause:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
