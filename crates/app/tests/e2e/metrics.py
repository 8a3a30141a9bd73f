"""Reads a page of metrics with Prometheus' own parsers and prints what they found as JSON."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text

parse = open_metrics if sys.argv[1] == "openmetrics" else text
families = [
    {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [{"name": s.name, "labels": s.labels, "value": s.value} for s in family.samples],
    }
    for family in parse(sys.stdin.read())
]
json.dump(families, sys.stdout)
