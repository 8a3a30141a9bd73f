"""Reads what was delivered, a JSON object a line, and prints what the CloudEvents SDK makes of it."""

import base64
import json
import sys

from standardwebhooks import Webhook

import parse

for line in sys.stdin:
    sent = json.loads(line)
    headers, body = sent["headers"], sent["body"].encode()
    if sent["by"] in ("https", "cloudevents"):
        event = parse.of_request(headers, body)
    elif sent["by"] == "kafka":
        event = parse.of_record(sent["key"], body, {name: value.encode() for name, value in headers.items()})
    else:
        event = parse.of_message(body)
    if sent.get("secret"):
        Webhook(base64.b64encode(sent["secret"].encode()).decode()).verify(body, headers)
    read = {
        "specversion": event.get_specversion(),
        "id": event.get_id(),
        "source": event.get_source(),
        "type": event.get_type(),
        "subject": event.get_subject(),
        "datacontenttype": event.get_datacontenttype(),
        "dataschema": event.get_dataschema(),
        "time": event.get_time().isoformat(),
        "data": event.get_data(),
    }
    print(json.dumps(read))
