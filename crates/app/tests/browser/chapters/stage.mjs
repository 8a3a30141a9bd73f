// What all chapters share: the browser, whose every request and complaint is watched, and the checks of a page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const stage = JSON.parse(process.env.STAGE);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/// Bytes of a page with its stylesheet and modules.
const MOST_BYTES = 60 * 1024;

export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 360, height: 740 };

let browser;
/// What is wrong with pages; collected, so that one run shows all of it.
const complaints = [];

/// Starts the browser, plays, and fails if anything was wrong.
export async function play(act) {
  const asRoot = process.getuid() === 0 ? ["--no-sandbox"] : [];
  const quiet = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: [...asRoot, ...quiet] });
  try {
    await act();
  } finally {
    await browser.close();
    for (const complaint of new Set(complaints)) console.log(`wrong: ${complaint}`);
  }
  assert.equal(complaints.length, 0, "something is wrong with pages; see above");
}

/// A browser of its own, with its own cookies. `origins`: where it may go besides the platform; `expects`: what the
/// browser may say about pages.
export async function visitor({ origins = [], expects = /^$/, ...options } = {}) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", locale: "en-GB",
    timezoneId: "Europe/Berlin", ...options });
  await context.exposeBinding("complain", (_, what) => complaints.push(what));
  await context.addInitScript(() => addEventListener("securitypolicyviolation", (event) =>
    window.complain(`${location.pathname}: ${event.violatedDirective} forbids ${event.blockedURI} ${event.sample}`)));
  const page = await context.newPage();
  watch(page, [stage.url, ...origins], expects);
  return page;
}

function watch(page, origins, expects) {
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  page.on("dialog", (dialog) => { complaints.push(`${page.url()}: dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (to.protocol !== "data:" && !origins.includes(to.origin)) complaints.push(`${page.url()} requests ${to}`);
  });
  page.on("console", (message) => {
    // A page with the status of its refusal is reported as one that failed to load.
    const refused = message.text().startsWith("Failed to load resource") || expects.test(message.text());
    if (!refused && ["error", "warning"].includes(message.type())) complaints.push(`${page.url()}: ${message.text()}`);
  });
}

/// Opens a page, which must have this status; returns its first visit's bytes, with everything it loads.
export async function open(page, path, status = 200) {
  const loads = [];
  const note = (response) => loads.push(response.body().then((body) => body.length, () => 0));
  page.on("response", note);
  const response = await page.goto(stage.url + path, { waitUntil: "load" });
  page.off("response", note);
  assert.equal(response.status(), status, `${path}: ${await page.locator("main").innerText()}`);
  return (await Promise.all(loads)).reduce((sum, bytes) => sum + bytes, 0);
}

export async function isAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const told = violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id} (${help}): ${node.html}`));
  complaints.push(...told.map((one) => `${what}: ${one}`));
}

/// Pages of error reasons that were found.
const reasons = new Set();

/// Each error reason leads to its page.
async function explainsReasons(page, what) {
  const paths = await page.locator("a[href*='/docs/errors/']").evaluateAll((all) => all.map((one) => one.pathname));
  for (const path of new Set(paths)) {
    if (reasons.has(path)) continue;
    const status = await new Promise((resolve, reject) => http.get(stage.url + path, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", reject));
    if (status === 200) reasons.add(path); else complaints.push(`${what} leads to ${path}, which is answered ${status}`);
  }
}

/// Nothing sticks out: wide tables scroll within themselves.
export async function fits(page, what) {
  const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  if (widths[0] > widths[1]) complaints.push(`${what} is ${widths[0]} px wide at ${widths[1]} px`);
}

/// A picture of the whole page, for a person to look at.
export async function picture(page, name) {
  await page.screenshot({ path: join(process.env.GALLERY, `${name}.png`), fullPage: true });
}

/// Checks a page as it is: wide and narrow, light and dark, its weight, and what axe finds.
export async function check(page, name, path, status = 200) {
  for (const [look, size] of [["light", WIDE], ["dark", NARROW]]) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme: look });
    const bytes = await open(page, path, status);
    if (bytes > MOST_BYTES) complaints.push(`${name} (${path}) has ${bytes} bytes`);
    await fits(page, `${name} (${path})`);
    await isAccessible(page, `${name} (${path}), ${look}`);
    await explainsReasons(page, `${name} (${path})`);
    await picture(page, `${name}-${size.width}-${look}`);
    if (look === "light") console.log(`  ${name}: ${(bytes / 1024).toFixed(1)} KiB`);
  }
  // Sizes and colours are independent of each other: the other two pairs need no axe at both sizes.
  await page.emulateMedia({ colorScheme: "light" });
  await isAccessible(page, `${name} (${path}), narrow`);
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: "dark" });
  await isAccessible(page, `${name} (${path}), wide and dark`);
  await page.emulateMedia({ colorScheme: "light" });
}

/// Fills in the form that signs a client in, and sends it.
export async function fillSignIn(page, client, pim) {
  await open(page, "/console/sign-in");
  await page.getByLabel("PIM URL").fill(pim);
  await page.getByLabel("Client id").fill(client);
  await page.getByLabel("Token").fill(`${client}-token`);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/// Signs a client in.
export async function signIn(page, client = "app", pim = stage.pim) {
  await fillSignIn(page, client, pim);
  await page.waitForURL(`${stage.url}/console`);
}

/// Signs the operator in.
export async function signInAsOperator(page) {
  await open(page, "/console/operator");
  await page.getByLabel("Operator key").fill(stage.operator);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${stage.url}/console`);
}

/// Waits until something holds; the platform works in the background.
export async function until(what, holds, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await holds();
    if (found) return found;
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
