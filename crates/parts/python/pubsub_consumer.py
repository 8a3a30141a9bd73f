"""Receives all that is published in a project and subscribed to, by Google's own client, and prints each message as a line of JSON."""

import json
import sys
import threading
import time

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import pubsub_v1

writing = threading.Lock()


def show(subscription, message):
    line = json.dumps(
        {
            "subscription": subscription,
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
receiving = {}
while True:
    try:
        for subscription in subscriber.list_subscriptions(request={"project": sys.argv[1]}, timeout=5):
            name = subscription.name
            if name not in receiving or receiving[name].done():
                receiving[name] = subscriber.subscribe(name, callback=lambda message, name=name: show(name, message))
    except GoogleAPICallError as error:
        print(error, file=sys.stderr, flush=True)
    time.sleep(0.1)
