"""Consumes the events of all tenants from the shared topic, and handles each for the tenant of its subject."""

import json
import logging
import os
import signal
from concurrent.futures import ThreadPoolExecutor

from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.subscriber.scheduler import ThreadScheduler
from google.cloud.pubsub_v1.types import FlowControl

from app.inbox import Inbox, Verdict

# Limits of memory use, whatever the size of the backlog.
FLOW_CONTROL = FlowControl(max_messages=200, max_bytes=20 * 1024 * 1024)
THREADS = 4

log = logging.getLogger("consumer")


def take(message: Message, inbox: Inbox) -> None:
    try:
        verdict = inbox.handle(json.loads(message.data), via="pubsub")
    except Exception:
        # The topic's subscription has a dead-letter policy for events that keep failing.
        log.exception("message %s could not be handled", message.message_id)
        message.nack()
        return
    if verdict is Verdict.UNKNOWN:
        # Most likely its tenant is being onboarded right now.
        message.nack()
    else:
        message.ack()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    inbox = Inbox(os.environ["INBOX"])
    # Google's client honours PUBSUB_EMULATOR_HOST.
    with pubsub_v1.SubscriberClient() as client:
        subscription = client.subscription_path(os.environ["PUBSUB_PROJECT"], os.environ["PUBSUB_SUBSCRIPTION"])
        pulling = client.subscribe(
            subscription,
            callback=lambda message: take(message, inbox),
            flow_control=FLOW_CONTROL,
            scheduler=ThreadScheduler(ThreadPoolExecutor(max_workers=THREADS)),
            await_callbacks_on_shutdown=True,
        )
        signal.signal(signal.SIGTERM, lambda *_: pulling.cancel())
        # Returns after SIGTERM; raises errors that the client cannot recover from.
        pulling.result()


if __name__ == "__main__":
    main()
