// Pictures for the documentation, of the demo's console, each with the text that it shows.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { open, play, signInAsOperator, stage, visitor } from "./stage.mjs";

const SIZE = { width: 1280, height: 800 };

/// What differs from run to run is left out: numbers, ids, ports.
async function take(page, name) {
  const folder = join(process.env.GALLERY, "docs");
  await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
  const text = (await page.locator("body").innerText()).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "id")
    .replace(/\d+(?:[.,:]\d+)*/g, "0");
  const sheet = new URL(await page.locator("link[rel=stylesheet]").evaluate((link) => link.href)).pathname;
  writeFileSync(join(folder, `${name}.txt`), `${sheet.split("/").pop()}\n\n${text}\n`);
}

await play(async () => {
  const page = await visitor({ viewport: SIZE, timezoneId: "UTC" });
  await page.goto(stage.link);
  await page.waitForURL(`${stage.url}/console`);
  await take(page, "overview");
  await open(page, "/console/subscriptions");
  await page.getByRole("table").first().getByRole("link", { name: "/webhook" }).click();
  await page.getByRole("heading", { name: "Latest attempts" }).waitFor();
  await take(page, "subscription");
  // One that the filter left out: somebody asks why it did not arrive.
  await open(page, "/console/events?author=system");
  await page.locator("td.id a[href*='/console/events/']").first().click();
  await page.getByRole("heading", { name: "What became of it" }).waitFor();
  await take(page, "event");
  const boss = await visitor({ viewport: SIZE, timezoneId: "UTC" });
  await signInAsOperator(boss);
  await take(boss, "operator");
});
