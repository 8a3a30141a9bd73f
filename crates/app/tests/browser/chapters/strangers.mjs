// Payloads full of HTML and scripts, and the ids of another tenant.

import assert from "node:assert/strict";
import { check, open, play, signIn, visitor } from "./stage.mjs";
import { client, event, EVIL, receiver } from "./world.mjs";
import { until } from "./stage.mjs";

await play(async () => {
  const at = await receiver();
  at.answers["/evil"] = [500, EVIL.repeat(3)];
  const app = client("app");
  const mine = await app.subscriber(EVIL);
  const evil = await app.subscription(mine, `${at.url}/evil`);
  const other = client("other");
  const theirs = await other.subscription(await other.subscriber("Theirs"), `${at.url}/theirs`);
  // Ids may contain anything that is text.
  await event(EVIL, "product.updated", EVIL, { [EVIL]: EVIL, "</script>": ["</textarea>", "-->", "javascript:alert(3)"] });
  await event("../../escape?x#y", "product.updated", "julia");
  await until("failed attempts", async () => (await app.call("GET", `${evil.path}/failures`)).items.length >= 2);

  const page = await visitor();
  await signIn(page);
  const inPath = encodeURIComponent(EVIL);
  const paths = {
    overview: "/console", subscriptions: "/console/subscriptions", subscriber: `/console/subscribers/${mine}`,
    edit: `/console/subscribers/${mine}/edit`, subscription: `/console${evil.path}`,
    failures: `/console${evil.path}/failures`, events: "/console/events", event: `/console/events/${inPath}`,
    fate: `/console${evil.path}/events/${inPath}`, log: "/console/log",
    search: `/console/subscriptions?q=${inPath}&sort=${inPath}`, filter: `/console${evil.path}/filter?filter=${inPath}`,
    "event-path": `/console/events/${encodeURIComponent("../../escape?x#y")}`,
  };
  for (const [name, path] of Object.entries(paths)) {
    await check(page, `hostile-${name}`, path);
    assert.equal(await page.locator("img, script:not([type=module])").count(), 0, `${path} has an element of the payload`);
  }
  await open(page, paths.event);
  const sent = await page.locator("#sent").textContent();
  assert.equal(JSON.parse(sent).data.author.identifier, EVIL);

  // All of another tenant's addresses are unknown, whatever the method.
  const foreign = ["", "/edit", "/delete", "/failures", "/filter", "/replays", "/events/event-1"];
  for (const end of foreign) await open(page, `/console${theirs.path}${end}`, 404);
  await open(page, `/console/subscribers/${theirs.subscriber}`, 404);
  await open(page, `/console/subscribers/${theirs.subscriber}/subscriptions/new`, 404);
  await open(page, "/console");
  const csrf = await page.locator("input[name=csrf]").first().inputValue();
  for (const end of ["/suspend", "/resume", "/delete", "/edit", "/replays", "/events/event-1"]) {
    const answer = await page.request.post(`${page.url()}${theirs.path}${end}`, { form: { csrf } });
    assert.equal(answer.status(), 404, end);
  }
  assert.equal((await other.call("GET", theirs.path)).status, "active");
  await open(page, `/console/log?subscription_id=${theirs.id}`);
  assert.ok(!(await page.locator("main").innerText()).includes("theirs"));
});
