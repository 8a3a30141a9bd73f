// Processes events: writes a description of each asset created or updated by someone else.
//
// A Lambda handler of an SQS event source with `ReportBatchItemFailures`.

import { required } from "./environment.mjs";
import { writeDescription } from "./pim.mjs";
import { SeenIds } from "./seen-ids.mjs";

const CLIENT_ID = required("CLIENT_ID");
const seen = new SeenIds(required("SEEN_FILE"));

export async function handler({ Records: records }) {
  const batchItemFailures = [];
  // Sequentially, because a batch may contain duplicates.
  for (const record of records) {
    try {
      const event = JSON.parse(record.body);
      console.log(JSON.stringify({ event: event.id, outcome: await work(event) }));
    } catch (error) {
      // Only this message is redelivered, and moves to the dead-letter queue after some attempts; the others are done.
      console.error(JSON.stringify({ message: record.messageId, outcome: "failed", error: error.message }));
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
}

async function work(event) {
  // Our own update is also a change of the asset: without this check the worker would trigger itself forever.
  if (event.data.author?.identifier === CLIENT_ID) return "own";
  // The platform and the queue deliver at least once, so duplicates occur.
  if (seen.has(identity(event))) return "duplicate";
  const written = await writeDescription(event.data.asset, describe(event));
  // After the work: a crash in between repeats the work, which is harmless. In reverse order, it would be lost.
  seen.add(identity(event));
  return written ? "described" : "gone";
}

/** What tells an event from all others: two producers may use the same id, and only those other than the PIM are named. */
function identity({ id, producersource }) {
  return producersource === undefined ? id : JSON.stringify([id, producersource]);
}

/** Here a real app would look at the asset's media file. */
function describe({ type, time, data: { asset } }) {
  const verb = type.endsWith(".created") ? "created" : "updated";
  return `${asset.code}, of the family ${asset.asset_family.code}, ${verb} at ${time}`;
}
