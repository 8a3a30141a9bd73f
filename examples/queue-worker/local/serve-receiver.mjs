// Replaces a Lambda function URL: converts HTTP requests to calls of the receiver's handler.
//
// `LOSE_ANSWER_EVERY=n` drops every n-th response after the handler has finished, like an unreliable network. The platform can't
// know that the event is queued, so it retries later: a duplicate.

import { createServer } from "node:http";
import { required } from "../src/environment.mjs";
import { handler } from "../src/receiver.mjs";

/** Beyond the receiver's own limit, so that it is the receiver that says 413. */
const MAX_BODY = 1024 * 1024;
const loseEvery = Number(process.env.LOSE_ANSWER_EVERY ?? 0);
let answers = 0;

const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, async (request, response) => {
  try {
    const body = await readBody(request);
    if (body === undefined) return response.writeHead(413, { connection: "close" }).end();
    const { statusCode, headers, body: text } = await handler({
      requestContext: { http: { method: request.method, path: request.url } },
      headers: request.headers,
      body: body.toString("base64"),
      isBase64Encoded: true,
    });
    answers += 1;
    if (loseEvery && answers % loseEvery === 0) return request.socket.destroy();
    response.writeHead(statusCode, headers).end(text);
  } catch (error) {
    console.error(error);
    if (!response.headersSent) response.writeHead(500).end();
  }
});
server.maxConnections = 256;
server.listen(Number(required("RECEIVER_PORT")), "127.0.0.1");
process.once("SIGTERM", () => {
  server.close();
  server.closeIdleConnections();
});

/** The body, or nothing if it is too large. */
async function readBody(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
