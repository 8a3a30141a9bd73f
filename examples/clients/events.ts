// Lists the events of the last day, page by page.
import connect from "postrider-client";

const client = connect({
  url: process.env.POSTRIDER_URL!,
  pimUrl: process.env.POSTRIDER_PIM_URL!,
  clientId: process.env.POSTRIDER_CLIENT_ID!,
  token: process.env.POSTRIDER_TOKEN!,
});

let cursor: string | undefined;
do {
  const { data, error } = await client.GET("/api/v1/events", { params: { query: { limit: 2, cursor } } });
  if (error) throw new Error(JSON.stringify(error));
  for (const event of data.items) console.log(event.id, event.type, event.accepted_at);
  cursor = data.next ?? undefined;
} while (cursor);
