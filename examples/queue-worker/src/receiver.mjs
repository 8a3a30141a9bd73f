// Receives events from the platform and queues them. Nothing else: work that takes time or can fail belongs in the
// worker, so that the platform gets a response within milliseconds.
//
// A Lambda handler behind a function URL or an HTTP API (payload format 2.0).

import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { required } from "./environment.mjs";
import { isSigned } from "./signature.mjs";

const QUEUE_URL = required("QUEUE_URL");
const SECRETS = [required("WEBHOOK_SECRET"), process.env.WEBHOOK_SECRET_PREVIOUS].filter(Boolean);

/** What every SQS queue takes as one message. An event of an asset has less than 1 KiB. */
const MAX_BODY = 256 * 1024;

// The platform waits 5 s for a response: two attempts of at most 1.5 s each leave time for it. Region, credentials and, for a
// different endpoint, AWS_ENDPOINT_URL_SQS come from the environment.
const sqs = new SQSClient({
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 500, requestTimeout: 1500, throwOnRequestTimeout: true },
});

export async function handler(request) {
  const rawBody = Buffer.from(request.body ?? "", request.isBase64Encoded ? "base64" : "utf8");
  if (rawBody.length > MAX_BODY) return answer(413, "larger than a message of the queue may be");
  if (!isSigned(rawBody, request.headers ?? {}, SECRETS)) return answer(401, "no valid signature");
  try {
    await sqs.send(new SendMessageCommand({ QueueUrl: QUEUE_URL, MessageBody: rawBody.toString("utf8") }));
  } catch (error) {
    console.error(JSON.stringify({ error: "the event could not be queued", name: error.name, message: error.message }));
    // 429 lowers the platform's rate and requests a retry in a few seconds; for an hour this does not count as a failure. A
    // missing or inaccessible queue does not recover by itself: 500 counts as a failure and leads to a notification.
    return isPassing(error) ? answer(429, "the queue is busy") : answer(500, "the queue cannot be used");
  }
  // Only now: after a 2xx the event is our responsibility.
  return answer(202, "queued");
}

/** Whether the same call may succeed soon: SQS is out of reach, in trouble or throttles us, but does not refuse what we ask. */
function isPassing(error) {
  return error.$fault !== "client" || /throttl|limit/i.test(error.name);
}

function answer(statusCode, text) {
  return { statusCode, headers: { "content-type": "text/plain" }, body: text };
}
