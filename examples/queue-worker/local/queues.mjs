// Replaces the template (CloudFormation, Terraform, …) that creates the queues, and their administrator:
//
//   create       creates them, and prints the queue's URL
//   left         prints the number of messages in the queue and its dead-letter queue
//   replay FILE  sends the first 10 events of a file to the queue once more

import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  SendMessageBatchCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { readFileSync } from "node:fs";

const NAME = "assets";
const DEAD_LETTERS = "assets-dead-letters";
const sqs = new SQSClient({});

async function create() {
  await sqs.send(new CreateQueueCommand({ QueueName: DEAD_LETTERS, Attributes: { MessageRetentionPeriod: "1209600" } }));
  const { QueueArn: deadLetterTargetArn } = await attributes(DEAD_LETTERS, ["QueueArn"]);
  const { QueueUrl } = await sqs.send(
    new CreateQueueCommand({
      QueueName: NAME,
      Attributes: {
        // Longer than a batch may take: seconds here, so that redelivery is visible; minutes in production.
        VisibilityTimeout: "3",
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 3 }),
      },
    }),
  );
  console.log(QueueUrl);
}

async function left() {
  const counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
  const count = async (queue) => Object.values(await attributes(queue, counts)).reduce((sum, n) => sum + Number(n), 0);
  console.log(`queued=${await count(NAME)} dead=${await count(DEAD_LETTERS)}`);
}

async function replay(file) {
  const events = readFileSync(file, "utf8").split("\n").slice(0, 10);
  const Entries = events.map((MessageBody, index) => ({ Id: String(index), MessageBody }));
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: NAME }));
  const { Failed = [] } = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  if (Failed.length > 0) throw new Error(`not sent: ${JSON.stringify(Failed)}`);
}

async function attributes(queue, AttributeNames) {
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queue }));
  return (await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }))).Attributes;
}

const [command, ...rest] = process.argv.slice(2);
await { create, left, replay }[command](...rest);
