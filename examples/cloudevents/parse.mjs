// npm install cloudevents
import { CloudEvent, HTTP, Kafka } from "cloudevents";

// HTTPS. The SDK doesn't recognise application/json, the default media type, as a CloudEvent: override it.
export function ofRequest(headers, body) {
  return HTTP.toEvent({ headers: { ...headers, "content-type": "application/cloudevents+json" }, body });
}

// HTTPS with options.cloudevents_content_type: the SDK detects the event.
export function ofCloudEventsRequest(headers, body) {
  return HTTP.toEvent({ headers, body });
}

// Kafka. Header values are text; some clients return them as bytes.
export function ofRecord(key, value, headers) {
  const texts = Object.entries(headers).map(([name, value]) => [name, value.toString()]);
  return Kafka.toEvent({ key, value: value.toString(), headers: Object.fromEntries(texts) });
}

// Google Pub/Sub: `data` of the message.
export function ofMessage(data) {
  return new CloudEvent(JSON.parse(data.toString()));
}
