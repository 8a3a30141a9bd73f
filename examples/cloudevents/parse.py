# pip install cloudevents
from cloudevents.core.bindings import http, kafka
from cloudevents.core.formats.json import JSONFormat


# HTTPS. Always structured mode: the body is a complete event, whatever the media type.
def of_request(headers, body):
    return http.from_structured_event(http.HTTPMessage(headers=headers, body=body))


# Kafka. The record's key becomes the event's extension attribute `partitionkey`.
def of_record(key, value, headers):
    return kafka.from_kafka_event(kafka.KafkaMessage(key=key, value=value, headers=headers))


# Google Pub/Sub: `data` of the message.
def of_message(data):
    return JSONFormat().read(None, data)
