// Ensures one subscriber and one subscription, like an app when it is installed or reconfigured. Can be repeated at any
// time: existing objects are updated.

import { required } from "./environment.mjs";

const PLATFORM_URL = required("PLATFORM_URL");
const RECEIVER_URL = required("RECEIVER_URL");
const NAME = "queue-worker";
const EVENTS = ["com.akeneo.pim.v1.asset.created", "com.akeneo.pim.v1.asset.updated"];

const subscriber =
  (await call("GET", "/subscribers")).find(({ name, status }) => name === NAME && status === "active") ??
  (await call("POST", "/subscribers", { name: NAME, contact: { technical_email: required("TECHNICAL_EMAIL") } }));

const subscriptions = `/subscribers/${subscriber.id}/subscriptions`;
const wanted = {
  type: "https",
  events: EVENTS,
  config: {
    url: RECEIVER_URL,
    secret: { primary: required("WEBHOOK_SECRET"), secondary: process.env.WEBHOOK_SECRET_PREVIOUS ?? "" },
  },
};
const existing = (await call("GET", subscriptions)).find(({ status }) => status !== "revoked");
const subscription = existing
  ? await call("PATCH", `${subscriptions}/${existing.id}`, wanted)
  : await call("POST", subscriptions, wanted);
console.log(`${subscriptions}/${subscription.id}`);

async function call(method, path, body) {
  const response = await fetch(`${PLATFORM_URL}/api/v1${path}`, {
    method,
    headers: {
      "X-PIM-URL": required("PIM_URL"),
      "X-PIM-TOKEN": required("PIM_TOKEN"),
      "X-PIM-CLIENT-ID": required("CLIENT_ID"),
      ...(body && { "Content-Type": "application/json" }),
    },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  // The platform lists all faults of a request: show them all.
  if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
  return JSON.parse(text);
}
