import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

let answer;
let queued = [];
let handler;
/** What the queue answers; hangs without an answer. */
const queue = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (answer === undefined) return;
  response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.0" });
  if (answer.status !== 200) return response.end(JSON.stringify(answer.body));
  const { MessageBody } = JSON.parse(Buffer.concat(chunks));
  queued.push(MessageBody);
  const MD5OfMessageBody = createHash("md5").update(MessageBody).digest("hex");
  response.end(JSON.stringify({ MessageId: "1", MD5OfMessageBody }));
});

before(async () => {
  await new Promise((ready) => queue.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${queue.address().port}`;
  Object.assign(process.env, { QUEUE_URL: `${url}/000000000000/assets`, WEBHOOK_SECRET: "new" });
  Object.assign(process.env, { WEBHOOK_SECRET_PREVIOUS: "old", AWS_ENDPOINT_URL_SQS: url, AWS_REGION: "eu-west-1" });
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" });
  ({ handler } = await import("../src/receiver.mjs"));
});
after(() => {
  queue.close();
  queue.closeAllConnections();
});

const event = '{"id":"1","data":{"text":"ça"}}';
function request(secret, body = event) {
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const base64 = Buffer.from(body).toString("base64");
  return { headers: { "x-akeneo-signature-primary": signature }, body: base64, isBase64Encoded: true };
}
async function status(given, queueAnswer) {
  answer = queueAnswer;
  return (await handler(given)).statusCode;
}
const refused = (type) => ({ status: 400, body: { __type: `com.amazonaws.sqs#${type}`, message: "no" } });

test("queues what the platform signed, byte for byte, while a secret changes, too", async () => {
  const taken = { status: 200 };
  assert.equal(await status(request("new"), taken), 202);
  assert.equal(await status(request("old"), taken), 202);
  const plain = { ...request("new"), body: event, isBase64Encoded: false };
  assert.equal(await status(plain, taken), 202);
  assert.deepEqual(queued, [event, event, event]);
});

test("refuses what it did not sign, and what no queue takes", async () => {
  queued = [];
  assert.equal(await status(request("a guess"), { status: 200 }), 401);
  assert.equal(await status({}, { status: 200 }), 401);
  assert.equal(await status(request("new", "x".repeat(300_000)), { status: 200 }), 413);
  assert.deepEqual(queued, []);
});

test("asks for another attempt soon when the queue is in trouble, and fails when it is not ours", async () => {
  assert.equal(await status(request("new"), { status: 503, body: {} }), 429);
  assert.equal(await status(request("new"), refused("RequestThrottled")), 429);
  assert.equal(await status(request("new"), refused("AccessDeniedException")), 500);
  assert.equal(await status(request("new"), refused("QueueDoesNotExist")), 500);
});

test("answers in time when the queue does not", async () => {
  const start = Date.now();
  assert.equal(await status(request("new"), undefined), 429);
  assert(Date.now() - start < 5000);
});
