// Does the work that events ask for: writes a description of each asset that somebody else created or updated.
//
// A Lambda handler of an SQS event source with `ReportBatchItemFailures`.

import { required } from "./environment.mjs";
import { writeDescription } from "./pim.mjs";
import { SeenIds } from "./seen-ids.mjs";

const CLIENT_ID = required("CLIENT_ID");
const seen = new SeenIds(required("SEEN_FILE"));

export async function handler({ Records: records }) {
  const batchItemFailures = [];
  // One after the other: two copies of an event may be in one batch.
  for (const record of records) {
    try {
      const event = JSON.parse(record.body);
      console.log(JSON.stringify({ event: event.id, outcome: await work(event) }));
    } catch (error) {
      // Only this message comes again, and after some attempts goes to the dead-letter queue; the others are done.
      console.error(JSON.stringify({ message: record.messageId, outcome: "failed", error: error.message }));
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
}

async function work(event) {
  // What we write is a change of the asset, too: without this the worker would answer to itself, for ever.
  if (event.data.author?.identifier === CLIENT_ID) return "own";
  // At least once is what the platform and the queue promise, so the same event may come again.
  if (seen.has(identity(event))) return "duplicate";
  const written = await writeDescription(event.data.asset, describe(event));
  // After the work: a crash in between repeats the work, which changes nothing. The other way round it would lose it.
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
