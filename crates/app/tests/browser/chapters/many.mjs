// 10,000 subscriptions: every page stays light, and fast from its first byte on.

import assert from "node:assert/strict";
import http from "node:http";
import { check, play, signIn, signInAsOperator, stage, visitor } from "./stage.mjs";
import { client, event, receiver } from "./world.mjs";

const PIMS = 25;
const EACH = 20;

/// Median time to the first byte of a page, in milliseconds.
async function firstByte(page, path) {
  const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
  const times = [];
  for (let round = 0; round < 9; round += 1) {
    times.push(await new Promise((resolve, reject) => {
      const from = performance.now();
      http.get(stage.url + path, { headers: { cookie } }, (response) => {
        response.once("data", () => { const took = performance.now() - from; response.resume(); resolve(took); });
        assert.equal(response.statusCode, 200, path);
      }).on("error", reject);
    }));
  }
  return times.sort((one, other) => one - other)[4];
}

await play(async () => {
  const at = await receiver();
  const subscriptions = [];
  const fill = async (pim, app) => {
    for (let number = 0; number < EACH; number += 1) {
      const subscriber = await app.subscriber(`Customer ${number}`);
      const made = Array.from({ length: EACH }, (_, index) =>
        app.subscription(subscriber, `${at.url}/${pim}/${number}/${index}`));
      subscriptions.push(...await Promise.all(made));
    }
  };
  const url = (number) => number === 0 ? stage.pim : `${stage.pim}/${number}`;
  await Promise.all(Array.from({ length: PIMS }, (_, number) => fill(`pim-${number}`, client("app", url(number)))));
  assert.equal(subscriptions.length, PIMS * EACH * EACH);
  for (let number = 0; number < 20; number += 1) {
    await event(`event-${number}`, "product.updated", "julia", {}, `${stage.key}-0`);
  }

  const page = await visitor();
  await signIn(page);
  const boss = await visitor();
  await signInAsOperator(boss);
  const mine = subscriptions.find((one) => one.url.includes("/pim-0/7/"));
  const pages = [
    [page, "overview", "/console"], [page, "subscriptions", "/console/subscriptions"],
    [page, "search", "/console/subscriptions?q=/7/&sort=-destination&page=2"],
    [page, "subscription", `/console${mine.path}`], [page, "events", "/console/events"], [page, "log", "/console/log"],
    [page, "live", "/console/live"], [page, "try", "/console/try"],
    [boss, "operator-overview", "/console"], [boss, "operator-subscriptions", "/console/subscriptions"],
    [boss, "operator-pims", "/console/pims"], [boss, "operator-pim", "/console/pims/pim-7"],
  ];
  for (const [who, name, path] of pages) await check(who, `many-${name}`, path);
  for (const [who, name, path] of pages) console.log(`  first byte of ${name}: ${(await firstByte(who, path)).toFixed(1)} ms`);
});
