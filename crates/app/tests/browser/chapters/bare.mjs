// Without scripts every page but the live one works; without a mouse everything is reached.

import assert from "node:assert/strict";
import { open, picture, play, signIn, until, visitor } from "./stage.mjs";
import { furnish } from "./world.mjs";

/// Presses Tab until the focus is back at the start; what had the focus, in order.
async function tabbed(page) {
  const order = await page.evaluate(() => {
    window.focusable = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
      .filter((element) => element.checkVisibility() && !element.disabled && element.type !== "hidden");
    document.body.tabIndex = -1;
    document.body.focus();
    return window.focusable.length;
  });
  const reached = new Set();
  // Date inputs take several steps; the end of the page leaves the document.
  for (let step = 0; step < order * 3 + 60; step += 1) {
    await page.keyboard.press("Tab");
    const [index, visible] = await page.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return [window.focusable.indexOf(element), outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
    });
    if (index < 0) { if (reached.size) break; else continue; }
    assert.ok(visible, `the focus on number ${index} of ${page.url()} is invisible`);
    reached.add(index);
  }
  const missed = await page.evaluate((known) => window.focusable.filter((_, index) => !known.includes(index))
    .filter((element) => element.type !== "radio").map((element) => element.outerHTML), [...reached]);
  assert.deepEqual(missed, [], `not reached on ${page.url()}`);
  return order;
}

await play(async () => {
  const world = await furnish();
  const page = await visitor();
  await signIn(page);
  const of = (one) => `/console${one.path}`;
  const pages = ["/console", "/console/subscriptions", of(world.works), `${of(world.works)}/edit`,
    `${of(world.works)}/replays`, `${of(world.works)}/filter`, "/console/events", "/console/events/event-1",
    "/console/log", "/console/live", "/console/try", `/console/subscribers/${world.shop}/edit`];
  for (const path of pages) {
    await open(page, path);
    // Its rows come and go.
    if (path.endsWith("/live")) await page.getByRole("button", { name: "Pause" }).click();
    console.log(`  ${path.split("/").pop()}: ${await tabbed(page)} reached by Tab`);
  }
  // The first stop leads past the navigation.
  await open(page, "/console");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.ok(page.url().endsWith("#main"));
  // An action by keyboard alone.
  await open(page, of(world.works));
  await page.getByRole("button", { name: "Suspend" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("The subscription is suspended.").waitFor();

  // The live page shows what happens, pauses and filters.
  await page.getByRole("button", { name: "Resume" }).press("Enter");
  await open(page, "/console/live");
  await page.getByText(/events? and .* attempts? in the last minute/).waitFor();
  await page.getByLabel("Show only").fill("nothing like it");
  await page.getByText("0 events and 0 attempts").waitFor();
  await page.getByRole("button", { name: "Pause" }).press("Enter");
  await page.getByText(/^Paused/).waitFor();
  await page.getByRole("button", { name: "Continue" }).press("Enter");
  await until("it goes on", async () => !(await page.locator("#live-state").innerText()).startsWith("Paused"));

  // Times are in the viewer's zone, with UTC as the tooltip.
  await open(page, "/console/events/event-1");
  const time = page.locator("time").first();
  const [shown, title, at] = [await time.innerText(), await time.getAttribute("title"), await time.getAttribute("datetime")];
  const hour = new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", hour: "2-digit" }).format(new Date(at));
  assert.ok(shown.startsWith(`${hour}:`), `${shown} is not in the viewer's zone`);
  assert.ok(title.endsWith("UTC") && title.includes(at.slice(11, 19)), title);

  const plain = await visitor({ javaScriptEnabled: false });
  await signIn(plain);
  for (const path of pages) {
    await open(plain, path);
    await picture(plain, `plain-${pages.indexOf(path)}`);
    if (path === "/console/live") await plain.getByText("This page needs JavaScript.").waitFor();
  }
  await open(plain, of(world.works));
  await plain.getByText("UTC").first().waitFor();
  await plain.getByRole("button", { name: "Suspend" }).click();
  await plain.getByText("The subscription is suspended.").waitFor();
  await plain.getByRole("button", { name: "Resume" }).click();
  await plain.getByText("active again").waitFor();
  await open(plain, "/console/subscriptions?q=busy");
  await plain.getByRole("link", { name: world.busy.url }).waitFor();
});
