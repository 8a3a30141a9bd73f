// What is on the platform: made through its API, and sent to a real receiver.

import assert from "node:assert/strict";
import http from "node:http";
import { stage, until } from "./stage.mjs";

export const TYPE = "com.akeneo.pim.v1.";
/// A payload that must stay text wherever it is shown.
export const EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

/// A receiver; the path of a delivery chooses the answer.
export async function receiver() {
  const answers = { "/down": [500, `<h1>Sorry</h1>${EVIL}`], "/gone": [404, "gone"], "/busy": [429, "later"] };
  const server = http.createServer((request, response) => {
    request.resume().on("end", () => {
      const [status, body] = answers[request.url] ?? [200, ""];
      response.writeHead(status, { "content-type": "text/html" }).end(body);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  return { url: `http://127.0.0.1:${server.address().port}`, answers };
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });

/// A request to the platform; its status and body.
export function send(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(stage.url + path, { method, headers, agent }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part)).on("end", () => {
        const text = Buffer.concat(parts).toString();
        resolve({ status: response.statusCode, text, headers: response.headers });
      });
    });
    request.on("error", reject).end(body);
  });
}

async function json(method, path, headers, body) {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const type = sent === undefined ? {} : { "content-type": "application/json" };
  const { status, text } = await send(method, path, { ...headers, ...type }, sent);
  assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

/// A client of the API.
export function client(id, pim = stage.pim) {
  const headers = { "x-pim-url": pim, "x-pim-client-id": id, "x-pim-token": `${id}-token` };
  const call = (method, path, body) => json(method, `/api/v1${path}`, headers, body);
  return {
    id, call,
    async subscriber(name) {
      return (await call("POST", "/subscribers", { name, contact: { technical_email: "dev@example.com" } })).id;
    },
    async subscription(subscriber, url, more = {}) {
      const wanted = { type: "https", events: [`${TYPE}product.created`, `${TYPE}product.updated`],
        config: { url, secret: { primary: "a secret" } }, ...more };
      const made = await call("POST", `/subscribers/${subscriber}/subscriptions`, wanted);
      return { id: made.id, subscriber, url, path: `/subscribers/${subscriber}/subscriptions/${made.id}` };
    },
  };
}

export const operator = (method, path, body) =>
  json(method, `/api/v1/admin${path}`, { authorization: `Bearer ${stage.operator}` }, body);

/// Sends an event of the PIM.
export async function event(id, type = "product.updated", author = "julia", more = {}, key = stage.key) {
  const sent = { specversion: "1.0", id, source: "pim", type: TYPE + type,
    data: { [type.split(".")[0]]: { uuid: "6a9f8486-2c36-4680-b87f-6f5f8f01b6cf" },
      author: { identifier: author, type: "user" }, ...more } };
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/cloudevents+json" };
  const { status, text } = await send("POST", "/api/v1/events", headers, JSON.stringify(sent));
  assert.equal(status, 202, text);
}

/// A client with everything: subscriptions that work, fail, are throttled, suspended, and suspended by the operator.
export async function furnish() {
  const at = await receiver();
  const app = client("app");
  const shop = await app.subscriber("Shop");
  const search = await app.subscriber("Search");
  const all = {
    works: await app.subscription(shop, `${at.url}/works`, { filter: "not user=\"erp\"" }),
    down: await app.subscription(shop, `${at.url}/down`),
    busy: await app.subscription(search, `${at.url}/busy`),
    paused: await app.subscription(search, `${at.url}/paused`, { filter: "attribute in [\"price\"]" }),
    stopped: await app.subscription(search, `${at.url}/stopped`),
    gone: await app.subscription(search, `${at.url}/gone`),
  };
  await app.call("POST", `${all.paused.path}/suspend`);
  await operator("POST", `/subscriptions/${all.stopped.id}/suspend`, { reason: "floods our proxy" });
  for (let number = 0; number < 30; number += 1) {
    await event(`event-${number}`, number % 3 ? "product.updated" : "product.created", number % 4 ? "julia" : "erp",
      { changes: { price: number } });
  }
  await until("attempts", async () => {
    const { items } = await app.call("GET", `${all.works.path}/attempts`);
    const failed = await app.call("GET", `${all.down.path}/failures`);
    const gone = await app.call("GET", all.gone.path);
    return items.length >= 22 && failed.items.length >= 30 && gone.status === "suspended";
  });
  return { app, at, shop, search, ...all };
}
