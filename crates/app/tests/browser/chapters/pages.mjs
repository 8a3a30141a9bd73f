// Every page of a client: without data, with data, and those that explain a refusal.

import assert from "node:assert/strict";
import { check, open, play, signIn, visitor } from "./stage.mjs";
import { furnish } from "./world.mjs";

await play(async () => {
  const stranger = await visitor();
  await check(stranger, "sign-in", "/console/sign-in");
  await check(stranger, "sign-in-operator", "/console/operator");
  await check(stranger, "link-without-secret", "/console/link");

  const newcomer = await visitor();
  await signIn(newcomer, "new");
  const empty = {
    overview: "/console", subscriptions: "/console/subscriptions", subscribers: "/console/subscribers",
    events: "/console/events", log: "/console/log", live: "/console/live", try: "/console/try",
    "subscriber-new": "/console/subscribers/new",
  };
  for (const [name, path] of Object.entries(empty)) {
    await check(newcomer, `empty-${name}`, path);
    // Every empty page says what would fill it.
    if (name !== "subscriber-new") assert.ok((await newcomer.locator("main p").count()) > 0, name);
  }

  const world = await furnish();
  const page = await visitor();
  await signIn(page);
  const of = (one) => `/console${one.path}`;
  const full = {
    overview: "/console",
    subscriptions: "/console/subscriptions",
    "subscriptions-none": "/console/subscriptions?q=nothing-like-it",
    subscribers: "/console/subscribers",
    subscriber: `/console/subscribers/${world.shop}`,
    "subscriber-edit": `/console/subscribers/${world.shop}/edit`,
    "subscriber-delete": `/console/subscribers/${world.shop}/delete`,
    "subscription-new-https": `/console/subscribers/${world.shop}/subscriptions/new`,
    "subscription-new-pubsub": `/console/subscribers/${world.shop}/subscriptions/new?type=pubsub`,
    "subscription-new-kafka": `/console/subscribers/${world.shop}/subscriptions/new?type=kafka`,
    subscription: of(world.works),
    "subscription-down": of(world.down),
    "subscription-busy": of(world.busy),
    "subscription-gone": of(world.gone),
    "subscription-stopped": of(world.stopped),
    "subscription-edit": `${of(world.works)}/edit`,
    "subscription-delete": `${of(world.works)}/delete`,
    failures: `${of(world.down)}/failures`,
    "failures-none": `${of(world.works)}/failures`,
    filter: `${of(world.works)}/filter`,
    "filter-invalid": `${of(world.works)}/filter?filter=${encodeURIComponent("user=")}`,
    replays: `${of(world.works)}/replays`,
    "fate-delivered": `${of(world.works)}/events/event-1`,
    "fate-filtered-out": `${of(world.works)}/events/event-4`,
    "fate-waiting-for-retry": `${of(world.down)}/events/event-1`,
    "fate-not-active": `${of(world.paused)}/events/event-1`,
    "fate-of-a-suspended-one": `${of(world.gone)}/events/event-29`,
    events: "/console/events",
    "events-none": "/console/events?id=nothing-like-it",
    event: "/console/events/event-1",
    log: "/console/log",
    "log-invalid": "/console/log?start_time=yesterday",
    live: "/console/live",
    try: `/console/try?subscription=${world.works.id}`,
  };
  for (const [name, path] of Object.entries(full)) await check(page, name, path);
  await check(page, "not-found", "/console/nowhere", 404);
  await check(page, "not-for-clients", "/console/pims", 403);

  // The words of the pages are those of the API.
  await open(page, "/console");
  await page.getByRole("heading", { name: "Needs attention" }).waitFor();
  for (const [one, words] of [[world.paused, "suspended"], [world.gone, "suspended"]]) {
    await page.locator("ul.attention li", { hasText: one.url }).getByText(words).waitFor();
  }
});
