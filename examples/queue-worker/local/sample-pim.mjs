// Replaces a PIM with assets: people and apps change them, and the PIM posts an event for each change to the platform.
//
//   GET   /api/rest/v1/token-info                             the platform verifies a token
//   PATCH /api/rest/v1/asset-families/{family}/assets/{code}  apps change an asset
//   POST  /ui/create?name=…&count=…, /ui/update?…             a person creates or changes assets
//   GET   /ui/state                                           what has happened so far
//
// Every tenth asset is locked when an app first tries to change it, and the asset `locked` always is.

import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { required } from "../src/environment.mjs";

const EVENTS_URL = `${required("PLATFORM_URL")}/api/v1/events`;
const SOURCE_KEY = required("SOURCE_KEY");
const APP = { clientId: required("CLIENT_ID"), token: required("PIM_TOKEN") };
const ACCEPTED = required("ACCEPTED_FILE");
const MAX_BATCH = 100;

const assets = new Map();
/** Events that the platform has not accepted yet. A PIM keeps them in its database. */
const outbox = [];
let accepted = 0;
let written = 0;

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://pim");
  try {
    const [status, body] = await route(request, url);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  } catch (error) {
    console.error(error);
    response.writeHead(400).end();
  }
});
server.listen(Number(required("PIM_PORT")), "127.0.0.1");
await postEvents();

async function route(request, url) {
  if (url.pathname === "/ui/state") {
    const described = [...assets.values()].filter(({ description }) => description !== undefined).length;
    return [200, { assets: assets.size, accepted, waiting: outbox.length, written, described }];
  }
  if (url.pathname.startsWith("/ui/")) return byPerson(url.pathname.slice(4), url.searchParams);
  if (request.headers.authorization !== `Bearer ${APP.token}`) return [401, { code: 401, message: "Invalid token." }];
  if (url.pathname === "/api/rest/v1/token-info") return [200, { client_id: APP.clientId }];
  const code = /^\/api\/rest\/v1\/asset-families\/photos\/assets\/(\w+)$/.exec(url.pathname)?.[1];
  if (request.method === "PATCH" && code !== undefined) return byApp(code, JSON.parse(await text(request)));
  return [404, { code: 404, message: "Not found." }];
}

function byPerson(verb, query) {
  for (let number = 1; number <= Number(query.get("count")); number += 1) {
    const code = Number(query.get("count")) === 1 ? query.get("name") : `${query.get("name")}_${number}`;
    if (verb === "create") assets.set(code, { busy: number % 10 === 0 });
    changed(code, verb === "create" ? "created" : "updated", { identifier: "julia", type: "user" });
  }
  return [200, {}];
}

function byApp(code, { values }) {
  const asset = assets.get(code);
  if (asset === undefined) return [404, { code: 404, message: "There is no such asset." }];
  if (code === "locked" || asset.busy) {
    asset.busy = false;
    return [503, { code: 503, message: "The asset is being edited." }];
  }
  asset.description = values.description[0].data;
  written += 1;
  changed(code, "updated", { identifier: APP.clientId, type: "api" });
  return [204, undefined];
}

function changed(code, verb, author) {
  outbox.push({
    specversion: "1.0",
    id: randomUUID(),
    source: "pim",
    type: `com.akeneo.pim.v1.asset.${verb}`,
    time: new Date().toISOString(),
    data: { asset: { asset_family: { code: "photos" }, code }, author },
  });
}

/** Events leave the outbox when the platform says that it has them, and not before: the platform may be down. */
async function postEvents() {
  for (;;) {
    const batch = outbox.slice(0, MAX_BATCH);
    if (batch.length > 0 && (await isAccepted(batch))) {
      outbox.splice(0, batch.length);
      accepted += batch.length;
      appendFileSync(ACCEPTED, batch.map((event) => `${JSON.stringify(event)}\n`).join(""));
    } else {
      await pause(50);
    }
  }
}

async function isAccepted(batch) {
  try {
    const response = await fetch(EVENTS_URL, {
      method: "POST",
      headers: { authorization: `Bearer ${SOURCE_KEY}`, "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify(batch),
      signal: AbortSignal.timeout(10_000),
    });
    if (response.status !== 202) console.error(response.status, await response.text());
    else await response.body?.cancel();
    return response.status === 202;
  } catch (error) {
    console.error(`the platform is not there: ${error.cause?.code ?? error.message}`);
    return false;
  }
}

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
