"""Replaces the template (Terraform, …) that creates the Kafka topic."""

import os

from confluent_kafka.admin import AdminClient, NewTopic

admin = AdminClient(
    {
        "bootstrap.servers": os.environ["KAFKA_BROKER"],
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": os.environ["KAFKA_USERNAME"],
        "sasl.password": os.environ["KAFKA_PASSWORD"],
    }
)
topic = NewTopic(os.environ["KAFKA_TOPIC"], num_partitions=4, replication_factor=1)
for created in admin.create_topics([topic], request_timeout=30).values():
    created.result(timeout=30)
