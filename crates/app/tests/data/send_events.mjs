// Sends events in binary mode as CloudEvents' SDK for JavaScript makes them; prints id and source of each, one line of JSON per event.
import { CloudEvent, HTTP } from "cloudevents";

// The SDK does not encode. Headers can hold what is in ISO 8859-1.
const odd = [["1", "/shop"], ["100%", "/shop/a"], ["\u00e9.2", "/shop-b"], ["%zz", "urn:x?y=1"]];

for (const [id, source] of odd) {
  const event = new CloudEvent({
    id, source, type: "com.akeneo.pim.v1.product.created", subject: "100% \u00e9", shop: "50%",
    data: { product: { uuid: "6a9f8486-2c36-4680-b87f-6f5f8f01b6cf" } },
  });
  const { headers, body } = HTTP.binary(event);
  const answer = await fetch(`${process.env.POSTRIDER_URL}/api/v1/events`, {
    method: "POST", headers: { ...headers, authorization: `Bearer ${process.env.KEY}` }, body,
  });
  if (answer.status !== 202) throw new Error(`${id}: ${answer.status} ${await answer.text()}`);
  console.log(JSON.stringify({ id, source }));
}
