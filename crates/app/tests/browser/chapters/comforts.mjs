// What the module of all pages adds: numbers at the pointer, copies, and times in the viewer's zone.

import assert from "node:assert/strict";
import { check, fits, NARROW, open, play, signIn, until, visitor, WIDE } from "./stage.mjs";
import { furnish } from "./world.mjs";

const ZONE = "Europe/Berlin";
const face = (at) => new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, timeStyle: "short" }).format(at);

/// What a chart shows at the pointer above the step that begins at a moment.
async function tip(chart, at) {
  const { from, step, of } = await chart.evaluate((figure) => ({ ...figure.dataset }));
  const index = Math.round((Date.parse(at) - Date.parse(from)) / (step * 1000));
  const svg = chart.locator("svg");
  const { width } = await svg.boundingBox();
  await svg.hover({ position: { x: width * (index + 0.5) / of, y: 60 } });
  const text = await chart.locator(".tip").innerText();
  const span = `${face(Date.parse(at))} – ${face(Date.parse(at) + step * 1000)}: `;
  assert.ok(text.startsWith(span), `${text} is not about ${span}`);
  return text.slice(span.length);
}

await play(async () => {
  const world = await furnish();
  const page = await visitor({ permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(page);

  // A subscription's chart: the counts of the API, at each step.
  const { counts } = await world.app.call("GET", `${world.works.path}/attempts?limit=0`);
  assert.equal(counts.reduce((sum, { delivered }) => sum + delivered, 0), 22);
  await open(page, `/console${world.works.path}`);
  const charts = await page.locator("#outcomes + .charts figure.chart").all();
  assert.equal(charts.length, 2);
  for (const chart of charts) {
    assert.ok(await chart.locator(".tip").isHidden(), "there is a tip without a pointer");
    for (const { from, delivered, failed, throttled } of counts) {
      assert.equal(await tip(chart, from), `${delivered} delivered, ${failed} failed, ${throttled} throttled`);
    }
    await page.mouse.move(0, 0);
    await chart.locator(".tip").waitFor({ state: "hidden" });
  }

  // The overview's chart: events in, too.
  const { counts: arrivals } = await world.app.call("GET", "/traffic");
  assert.equal(arrivals.reduce((sum, { accepted }) => sum + accepted, 0), 30);
  await open(page, "/console");
  for (const chart of await page.locator("#traffic + .charts figure.chart").all()) {
    for (const { from, accepted } of arrivals) {
      assert.ok((await tip(chart, from)).startsWith(`${accepted} events in, `));
    }
  }
  // The charts of the backlog: a minute must pass before there can be one, so the page gets one on its way.
  const last = arrivals.at(-1).from;
  for (const chart of await page.locator("#backlog + .charts figure.chart").all()) {
    assert.equal(await tip(chart, last), "no backlog");
  }
  const waits = "oldest 7 min, ≥ 1,000 waiting";
  const index = await page.locator("#backlog + .charts figure.chart").first().evaluate(
    (figure, at) => Math.round((Date.parse(at) - Date.parse(figure.dataset.from)) / 300_000), last);
  await page.route("**/console", async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replaceAll('data-steps=""', `data-steps="${index}:${waits}"`);
    await route.fulfill({ response, body });
  });
  await open(page, "/console");
  assert.equal(await tip(page.locator("#backlog + .charts figure.chart").first(), last), waits);
  await page.unroute("**/console");

  // The last step's tip stays on the page.
  await page.setViewportSize(NARROW);
  await open(page, "/console");
  await tip(page.locator("figure.chart").first(), arrivals.at(-1).from);
  await fits(page, "a chart with its tip");
  const box = await page.locator("figure.chart .tip").first().boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= NARROW.width, JSON.stringify(box));
  await page.setViewportSize(WIDE);

  // An event is copied byte for byte.
  await open(page, "/console/events/event-1");
  await page.getByRole("button", { name: "Copy as sent" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator("#sent").textContent());
  await until("the button's own name", async () => page.getByRole("button", { name: "Copy as sent" }).count());

  // Every moment says what it is in UTC, and the foot of the page which zone it is shown in.
  await page.locator("footer").getByText(`Times are in ${ZONE}; point at one for UTC`).waitFor();
  await open(page, `/console${world.works.path}`);
  for (const time of await page.locator("time").all()) {
    const [title, at] = [await time.getAttribute("title"), await time.getAttribute("datetime")];
    assert.ok(title.endsWith("UTC") && title.includes(at.slice(11, 16)), `${title} for ${at}`);
  }
  const elsewhere = await visitor({ timezoneId: "UTC" });
  await signIn(elsewhere);
  await check(elsewhere, "overview-in-utc", "/console");
  assert.ok((await elsewhere.locator("footer").innerText()).endsWith("Times are in UTC"));
});
