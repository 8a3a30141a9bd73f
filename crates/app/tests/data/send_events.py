# Sends events in binary mode as CloudEvents' SDK for Python makes them; prints id and source of each, one line of JSON per event.
import http.client
import json
import os
from urllib.parse import urlsplit

from cloudevents.core.bindings.http import to_binary_event
from cloudevents.core.v1.event import CloudEvent

ODD = [("1", "/shop"), ("100%", "/shop/a%20b"), ("\u00e9 \u6f22", "/\u00e9"), ("%41.2", "urn:x?y=100%")]

platform = urlsplit(os.environ["POSTRIDER_URL"])
for number, (event_id, source) in enumerate(ODD):
    attributes = {"type": "com.akeneo.pim.v1.product.created", "source": source, "id": event_id, "subject": "100% \u00e9"}
    # Without it the SDK sends no `Content-Type`, as in its own examples.
    if number % 2:
        attributes["datacontenttype"] = "application/json"
    event = CloudEvent(attributes=attributes, data={"product": {"uuid": "6a9f8486-2c36-4680-b87f-6f5f8f01b6cf"}})
    message = to_binary_event(event)
    # Not `urllib`, which adds a media type of its own.
    connection = http.client.HTTPConnection(platform.hostname, platform.port, timeout=10)
    headers = {**message.headers, "Authorization": "Bearer " + os.environ["KEY"]}
    connection.request("POST", "/api/v1/events", body=message.body, headers=headers)
    answer = connection.getresponse()
    assert answer.status == 202, (answer.status, answer.read())
    print(json.dumps({"id": event_id, "source": source}))
