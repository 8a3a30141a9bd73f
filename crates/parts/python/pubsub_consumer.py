"""Receives what is published to a Pub/Sub topic, by Google's own client, and prints each message as a line of JSON."""

import json
import sys
import threading

from google.cloud import pubsub_v1

writing = threading.Lock()


def show(message):
    line = json.dumps(
        {
            "data": message.data.decode(),
            "attributes": dict(message.attributes),
            "ordering_key": message.ordering_key,
            "id": message.message_id,
        }
    )
    with writing:
        print(line, flush=True)
    message.ack()


# PUBSUB_EMULATOR_HOST says where.
subscriber = pubsub_v1.SubscriberClient()
print("ready", flush=True)
subscriber.subscribe(sys.argv[1], callback=show).result()
