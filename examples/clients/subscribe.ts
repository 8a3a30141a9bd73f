// Subscribes an endpoint and sends it a test event.
import connect, { type Schemas } from "postrider-client";

const client = connect({
  url: process.env.POSTRIDER_URL!,
  pimUrl: process.env.POSTRIDER_PIM_URL!,
  clientId: process.env.POSTRIDER_CLIENT_ID!,
  token: process.env.POSTRIDER_TOKEN!,
});

/** The body of a response, or an error with everything that is wrong. */
function body<Body>({ data, error }: { data?: Body; error?: Schemas["Errors"] }): Body {
  if (error) throw new Error(error.errors.map((fault) => `${fault.field ?? "request"}: ${fault.message}`).join("\n"));
  return data!;
}

const subscriber = body(
  await client.POST("/api/v1/subscribers", {
    body: { name: "My app", contact: { technical_email: "dev@example.com" } },
  }),
);
const subscription = body(
  await client.POST("/api/v1/subscribers/{id}/subscriptions", {
    params: { path: { id: subscriber.id } },
    body: {
      type: "https",
      events: ["com.akeneo.pim.v1.product.created"],
      config: { url: process.env.ENDPOINT!, secret: { primary: process.env.SECRET! } },
    },
  }),
);
const outcome = body(
  await client.POST("/api/v1/subscribers/{id}/subscriptions/{sid}/test", {
    params: { path: { id: subscriber.id, sid: subscription.id } },
  }),
);
console.log(outcome.event_id, outcome.event_type, outcome.outcome);
