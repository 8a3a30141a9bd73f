// Reads what was delivered, a JSON object a line, and prints what the CloudEvents SDK makes of it.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { ofCloudEventsRequest, ofMessage, ofRecord, ofRequest } from "./parse.mjs";

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const { by, headers, key, body, secret } = JSON.parse(line);
  const make = {
    https: () => ofRequest(headers, body),
    cloudevents: () => ofCloudEventsRequest(headers, body),
    kafka: () => ofRecord(key, Buffer.from(body), headers),
    pubsub: () => ofMessage(Buffer.from(body)),
  };
  const { specversion, id, source, type, subject, datacontenttype, dataschema, time, data } = make[by]();
  if (secret) new Webhook(Buffer.from(secret).toString("base64")).verify(body, headers);
  console.log(JSON.stringify({ specversion, id, source, type, subject, datacontenttype, dataschema, time, data }));
}
