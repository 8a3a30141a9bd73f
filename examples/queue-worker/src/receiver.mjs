// Takes events from the platform and puts them into the queue. Nothing else: whatever takes time or can fail for reasons of
// its own is the worker's business, so that the platform has its answer within milliseconds.
//
// A Lambda handler behind a function URL or an HTTP API (payload format 2.0).

import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { required } from "./environment.mjs";
import { isSigned } from "./signature.mjs";

const QUEUE_URL = required("QUEUE_URL");
const SECRETS = [required("WEBHOOK_SECRET"), process.env.WEBHOOK_SECRET_PREVIOUS].filter(Boolean);

/** What every SQS queue takes as one message. An event of an asset has less than 1 KiB. */
const MAX_BODY = 256 * 1024;

// The platform waits 5 s for an answer: two attempts of at most 1.5 s each leave time for it. Region, credentials and, for a
// queue elsewhere, AWS_ENDPOINT_URL_SQS come from the environment.
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
    // 429 asks the platform to slow down and to send the event again in some seconds; for an hour that is no failure. A
    // queue that is missing, or closed to us, does not get better by itself: 500 counts, and soon somebody is told.
    return isPassing(error) ? answer(429, "the queue is busy") : answer(500, "the queue cannot be used");
  }
  // Only now: an event that is answered with 2xx is ours.
  return answer(202, "queued");
}

/** Whether the same call may succeed soon: SQS is out of reach, in trouble or throttles us, but does not refuse what we ask. */
function isPassing(error) {
  return error.$fault !== "client" || /throttl|limit/i.test(error.name);
}

function answer(statusCode, text) {
  return { statusCode, headers: { "content-type": "text/plain" }, body: text };
}
