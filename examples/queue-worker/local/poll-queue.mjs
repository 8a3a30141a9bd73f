// Replaces Lambda's SQS event source: passes batches of messages to the worker, and deletes those that did not fail.

import { DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { setTimeout as pause } from "node:timers/promises";
import { required } from "../src/environment.mjs";
import { handler } from "../src/worker.mjs";

const QueueUrl = required("QUEUE_URL");
const sqs = new SQSClient({});
let stopping = false;
process.once("SIGTERM", () => (stopping = true));

while (!stopping) {
  try {
    const messages = await receive();
    if (messages.length > 0) await remove(messages, await handler({ Records: messages.map(record) }));
  } catch (error) {
    console.error(JSON.stringify({ error: "the queue could not be used", message: error.message }));
    await pause(1000);
  }
}

async function receive() {
  const command = new ReceiveMessageCommand({
    QueueUrl,
    MaxNumberOfMessages: 10,
    // After SIGTERM it still waits this long: the response of an aborted call could contain messages.
    WaitTimeSeconds: 2,
    MessageSystemAttributeNames: ["ApproximateReceiveCount"],
  });
  const { Messages = [] } = await sqs.send(command);
  return Messages;
}

/** What failed stays: it becomes visible again after the queue's visibility timeout. */
async function remove(messages, { batchItemFailures }) {
  const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
  const done = messages.filter(({ MessageId }) => !failed.has(MessageId));
  if (done.length === 0) return;
  const Entries = done.map(({ MessageId, ReceiptHandle }) => ({ Id: MessageId, ReceiptHandle }));
  // Some deletions may fail. These messages are redelivered, and the worker recognises them.
  const { Failed = [] } = await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
  for (const { Id, Message } of Failed) console.error(JSON.stringify({ message: Id, error: `not deleted: ${Message}` }));
}

/** A message as Lambda hands it to a function. */
function record({ MessageId, ReceiptHandle, Body, Attributes }) {
  return { messageId: MessageId, receiptHandle: ReceiptHandle, body: Body, attributes: Attributes };
}
