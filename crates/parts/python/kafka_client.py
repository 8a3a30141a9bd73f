"""A stock Kafka client (librdkafka) for tests: makes topics and rights, and prints what a topic holds.

One command a run; settings of the client come first, as name=value.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)


def wait(admin, call, *arguments):
    # The admin client must outlive what it was asked for.
    for future in call(admin, *arguments).values():
        future.result(timeout=20)


def create(settings, name, partitions, config):
    topic = NewTopic(name, num_partitions=int(partitions), replication_factor=1, config=json.loads(config))
    wait(AdminClient(settings), AdminClient.create_topics, [topic])


def delete(settings, name):
    wait(AdminClient(settings), AdminClient.delete_topics, [name])


def alter(settings, name, config):
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in json.loads(config).items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    wait(AdminClient(settings), AdminClient.incremental_alter_configs, [resource])


def allow(settings, user, operation, topic):
    binding = AclBinding(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.LITERAL,
        "User:" + user,
        "*",
        AclOperation[operation],
        AclPermissionType.ALLOW,
    )
    wait(AdminClient(settings), AdminClient.create_acls, [binding])


def consume(settings, topic, at_least, seconds):
    """Prints all records of the topic, each a line of JSON, once there are at least so many, or the time is up."""
    import time

    consumer = Consumer(
        {
            **settings,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": False,
            "isolation.level": "read_committed",
        }
    )
    by = time.monotonic() + float(seconds)
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    records = []
    while True:
        ends = sum(consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)[1] for partition in partitions)
        while len(records) < ends and time.monotonic() < by:
            for message in consumer.consume(num_messages=10000, timeout=0.2):
                if message.error() is not None:
                    raise KafkaException(message.error())
                records.append(message)
        if len(records) >= int(at_least) or time.monotonic() >= by:
            break
        time.sleep(0.05)
    consumer.close()
    records.sort(key=lambda message: (message.partition(), message.offset()))
    text = lambda value: None if value is None else value.decode("utf-8")
    out = sys.stdout
    for message in records:
        record = {
            "partition": message.partition(),
            "offset": message.offset(),
            "key": text(message.key()),
            "value": text(message.value()),
            "headers": [[name, text(value)] for name, value in (message.headers() or [])],
        }
        out.write(json.dumps(record) + "\n")


COMMANDS = {"create": create, "delete": delete, "alter": alter, "allow": allow, "consume": consume}

if __name__ == "__main__":
    arguments = sys.argv[1:]
    settings = {}
    while "=" in arguments[0]:
        name, value = arguments.pop(0).split("=", 1)
        settings[name] = value
    COMMANDS[arguments[0]](settings, *arguments[1:])
