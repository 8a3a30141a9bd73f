"""Replaces the template (Terraform, …) that creates the topic and the app's Pub/Sub subscription."""

import os

from google.cloud import pubsub_v1

with pubsub_v1.PublisherClient() as publisher, pubsub_v1.SubscriberClient() as subscriber:
    topic = publisher.topic_path(os.environ["PUBSUB_PROJECT"], os.environ["PUBSUB_TOPIC"])
    publisher.create_topic(name=topic)
    # In production, add a dead-letter policy, and grant publishing only to the platform's service account.
    subscription = subscriber.subscription_path(os.environ["PUBSUB_PROJECT"], os.environ["PUBSUB_SUBSCRIPTION"])
    subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=10)
    print(topic)
