import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

let handler;
let described = [];
/** Takes every description but that of the asset `locked`. */
const pim = createServer((request, response) => {
  const code = request.url.split("/").at(-1);
  if (code !== "locked") described.push(code);
  response.writeHead({ locked: 503, gone: 404 }[code] ?? 204).end();
});

before(async () => {
  await new Promise((ready) => pim.listen(0, "127.0.0.1", ready));
  Object.assign(process.env, { PIM_URL: `http://127.0.0.1:${pim.address().port}`, PIM_TOKEN: "token" });
  Object.assign(process.env, { CLIENT_ID: "me", SEEN_FILE: join(mkdtempSync(join(tmpdir(), "worker-")), "ids") });
  ({ handler } = await import("../src/worker.mjs"));
});
after(() => {
  pim.close();
  pim.closeAllConnections();
});

const type = "com.akeneo.pim.v1.asset.created";
const message = (id, code, author = "julia") => ({
  messageId: `message of ${id}`,
  body: JSON.stringify({ id, type, data: { asset: { asset_family: { code: "f" }, code }, author: { identifier: author } } }),
});
const failed = async (...Records) => (await handler({ Records })).batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);

test("one bad message fails alone", async () => {
  const nonsense = { messageId: "nonsense", body: "{" };
  assert.deepEqual(await failed(message("1", "a"), message("2", "locked"), nonsense, message("3", "b")), ["message of 2", "nonsense"]);
  assert.deepEqual(described.splice(0), ["a", "b"]);
});

test("an event that comes again is dropped, within a batch and later, but not one that failed", async () => {
  assert.deepEqual(await failed(message("4", "c"), message("4", "c")), []);
  assert.deepEqual(await failed(message("4", "c"), message("2", "d")), []);
  assert.deepEqual(described.splice(0), ["c", "d"]);
});

test("its own changes are ignored, and assets that are gone are done with", async () => {
  assert.deepEqual(await failed(message("5", "e", "me"), message("6", "gone")), []);
  assert.deepEqual(described.splice(0), ["gone"]);
});
