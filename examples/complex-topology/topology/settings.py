"""Destinations in the format of the platform's API, from the environment."""

import os

# Names of the app's objects.
PUBSUB, HTTPS, KAFKA = "pubsub", "https", "kafka"


def destination(kind: str) -> dict:
    """`type` and the whole `config`: with a new type nothing of the old one stays."""
    return {"type": kind, "config": _CONFIGS[kind]()}


_CONFIGS = {
    PUBSUB: lambda: {
        "project_id": os.environ["PUBSUB_PROJECT"],
        "topic_id": os.environ["PUBSUB_TOPIC"],
    },
    HTTPS: lambda: {
        "url": os.environ["ENDPOINT_URL"],
        "secret": {"primary": os.environ["WEBHOOK_SECRET"]},
    },
    KAFKA: lambda: {
        "broker": os.environ["KAFKA_BROKER"],
        "topic": os.environ["KAFKA_TOPIC"],
        "sasl_auth": {
            "mechanism": "plain",
            "username": os.environ["KAFKA_USERNAME"],
            "password": os.environ["KAFKA_PASSWORD"],
        },
    },
}
