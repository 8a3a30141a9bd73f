"""Consumes events from the Kafka topic, and handles them like the other consumers."""

import json
import logging
import os
import signal
import time

from confluent_kafka import Consumer, KafkaException, Message

from app.inbox import Inbox, Verdict

# How long to wait for the route of an unknown subscription: Kafka preserves order, so later records wait as well.
ONBOARDING_SECONDS = 30


def take(record: Message, inbox: Inbox) -> None:
    event = json.loads(record.value())
    deadline = time.monotonic() + ONBOARDING_SECONDS
    while inbox.handle(event, via="kafka") is Verdict.UNKNOWN:
        if time.monotonic() > deadline:
            # Not stored as done: the next start reads it again.
            raise RuntimeError(f"event {event['id']} is of the unknown subscription {event['subject']}")
        time.sleep(0.5)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    inbox = Inbox(os.environ["INBOX"])
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BROKER"],
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": os.environ["KAFKA_USERNAME"],
            "sasl.password": os.environ["KAFKA_PASSWORD"],
            "group.id": "multi-tenant-app",
            "auto.offset.reset": "earliest",
            # Commits stored offsets, which are stored after handling: a crash repeats records but loses none.
            "enable.auto.offset.store": False,
        }
    )
    consumer.subscribe([os.environ["KAFKA_TOPIC"]])
    running = True

    def stop(*_) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    try:
        while running:
            record = consumer.poll(0.5)
            if record is None:
                continue
            if record.error():
                raise KafkaException(record.error())
            take(record, inbox)
            consumer.store_offsets(record)
    finally:
        # Commits stored offsets, and leaves the group.
        consumer.close()


if __name__ == "__main__":
    main()
