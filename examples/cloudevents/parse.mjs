// npm install cloudevents
import { CloudEvent, HTTP, Kafka } from "cloudevents";

// HTTPS. The body is a whole event, but by default it comes as application/json, which the SDK does not take for one: say so.
export function ofRequest(headers, body) {
  return HTTP.toEvent({ headers: { ...headers, "content-type": "application/cloudevents+json" }, body });
}

// HTTPS with options.cloudevents_content_type: the SDK finds out by itself.
export function ofCloudEventsRequest(headers, body) {
  return HTTP.toEvent({ headers, body });
}

// Kafka. Values of headers are text; some clients hand them over as bytes.
export function ofRecord(key, value, headers) {
  const texts = Object.entries(headers).map(([name, value]) => [name, value.toString()]);
  return Kafka.toEvent({ key, value: value.toString(), headers: Object.fromEntries(texts) });
}

// Google Pub/Sub: `data` of the message.
export function ofMessage(data) {
  return new CloudEvent(JSON.parse(data.toString()));
}
