// A receiver that verifies signatures: SECRET=… node receiver.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.SECRET;
if (!secret) throw new Error("SECRET is not set"); // Anyone can sign with an empty key.
const tolerance = Number(process.env.TOLERANCE ?? 0); // seconds; 0: accept replays
const largest = 2 << 20; // an event has at most 1 MiB

const hmac = (...parts) => parts.reduce((hmac, part) => hmac.update(part), createHmac("sha256", secret));

// Constant-time comparison.
const same = (sent, expected) => {
  const [a, b] = [Buffer.from(sent ?? ""), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
};

// One of the two signatures must match our secret; `body` holds the raw bytes.
function isGenuine(headers, body) {
  const expected = hmac(body).digest("hex");
  return ["x-akeneo-signature-primary", "x-akeneo-signature-secondary"].some((name) => same(headers[name], expected));
}

// Standard Webhooks: the signature also covers the time of the attempt, so replays can be detected.
function isFresh(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  const expected = `v1,${hmac(`${id}.${timestamp}.`, body).digest("base64")}`;
  return age <= tolerance && (signatures ?? "").split(" ").some((signature) => same(signature, expected));
}

createServer(async (request, response) => {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > largest) return response.writeHead(413).end();
    pieces.push(piece);
  }
  const body = Buffer.concat(pieces);
  if (!isGenuine(request.headers, body) || (tolerance > 0 && !isFresh(request.headers, body))) {
    return response.writeHead(401).end();
  }
  const event = JSON.parse(body); // Only now. Queue it, answer, and process it afterwards.
  console.log(event.type, event.id);
  response.writeHead(204).end();
}).listen(process.env.PORT ?? 4000, "127.0.0.1");
