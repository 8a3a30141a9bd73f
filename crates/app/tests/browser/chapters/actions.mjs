// Each action, through its form, and what happens if the platform refuses it.

import assert from "node:assert/strict";
import { check, open, play, signIn, signInAsOperator, stage, until, visitor } from "./stage.mjs";
import { client, event, operator, receiver, TYPE } from "./world.mjs";

const press = (page, name) => page.locator("main").getByRole("button", { name, exact: true }).click();
const says = (page, text) => page.locator("main").getByText(text).first().waitFor();

await play(async () => {
  const at = await receiver();
  const app = client("app");
  const page = await visitor();
  await signIn(page);

  // A subscriber: refused without a name that is one, then created, changed.
  await open(page, "/console/subscriptions");
  await page.getByRole("link", { name: "New subscriber" }).click();
  await page.getByLabel("Name", { exact: true }).fill("x".repeat(300));
  await press(page, "Create");
  await page.locator("[aria-invalid]").first().waitFor();
  await page.getByLabel("Name", { exact: true }).fill("Shop");
  await page.getByLabel("Technical email").fill("dev@example.com");
  await press(page, "Create");
  await says(page, "Created.");
  const [{ id: shop }] = await app.call("GET", "/subscribers");
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Shop of tomorrow");
  await press(page, "Save");
  await says(page, "Saved.");

  // A subscription: refused for its destination, created, changed, tried.
  await page.getByRole("link", { name: "New subscription" }).click();
  await page.getByLabel("URL", { exact: true }).fill("https://10.0.0.1/hook");
  await page.getByLabel("Primary").fill("a secret");
  await page.getByLabel("product.updated", { exact: true }).check();
  await press(page, "Create");
  await page.getByRole("alert").first().waitFor();
  assert.equal((await app.call("GET", `/subscribers/${shop}/subscriptions`)).length, 0);
  await page.getByLabel("URL", { exact: true }).fill(`${at.url}/works`);
  await page.getByLabel("Primary").fill("a secret");
  await press(page, "Create");
  await says(page, "Created.");
  const [{ id }] = await app.call("GET", `/subscribers/${shop}/subscriptions`);
  const api = `/subscribers/${shop}/subscriptions/${id}`;
  const path = `/console${api}`;
  const status = async () => (await app.call("GET", api)).status;
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("Filter optional").fill("nonsense");
  await press(page, "Save");
  await page.locator("[aria-invalid]").first().waitFor();
  await page.getByLabel("Filter optional").fill("not user=\"erp\"");
  await press(page, "Save");
  await says(page, "Saved.");
  const changed = await app.call("GET", api);
  assert.deepEqual([changed.filter, changed.events], ["not user=\"erp\"", [`${TYPE}product.updated`]]);

  // Suspended and resumed; a second page that is behind is told so.
  const behind = await page.context().newPage();
  await open(behind, path);
  await press(page, "Suspend");
  await says(page, "The subscription is suspended.");
  assert.equal(await status(), "suspended");
  await press(behind, "Suspend");
  await behind.getByRole("heading", { name: "Refused" }).waitFor();
  await open(behind, path);
  await press(page, "Resume");
  await says(page, "active again");
  await press(behind, "Resume");
  await behind.getByRole("heading", { name: "Refused" }).waitFor();
  assert.equal(await status(), "active");

  // A test event: delivered, refused as too frequent, refused as no JSON.
  await open(page, path);
  await page.getByRole("link", { name: "Send a test event" }).click();
  await press(page, "Send");
  await page.getByRole("status").getByText("delivered").waitFor();
  await press(page, "Send");
  await page.locator("[role=alert], .notice.good").first().waitFor();
  await page.getByLabel(/^Data of/).fill("{no json");
  await until("a refusal of what is no JSON", async () => {
    await press(page, "Send");
    return page.getByRole("alert").filter({ hasText: "data" }).count();
  });

  // An event, its fate, and once more.
  await event("one");
  await event("two", "product.updated", "erp");
  await until("an attempt", async () => (await app.call("GET", `${api}/attempts`)).items.length);
  await open(page, "/console/events");
  await page.getByRole("link", { name: "one", exact: true }).click();
  await page.locator("main").getByText("delivered", { exact: true }).waitFor();
  await page.getByRole("table").getByRole("link").first().click();
  await press(page, "Send again");
  await says(page, "Sent: delivered.");
  await says(page, "Sent again by a replay:");
  await until("a replay", async () => (await app.call("GET", `${api}/replays`))[0].status === "done");
  await open(page, `${path}/events/two`);
  await says(page, "Filtered out");

  // Replays: refused for a time long ago, started, listed, cancelled.
  await open(page, `${path}/replays`);
  await says(page, "done");
  await page.getByLabel("Accepted from (UTC)").fill("2020-01-01T00:00");
  await press(page, "Start");
  await page.getByRole("alert").first().waitFor();
  for (let number = 0; number < 50; number += 1) await event(`many-${number}`);
  await open(page, `${path}/replays`);
  await page.getByLabel("Accepted from (UTC)").fill(new Date(Date.now() - 3600e3).toISOString().slice(0, 19));
  await page.getByLabel("Maximum rate").fill("0.1");
  await press(page, "Start");
  if (await page.getByRole("alert").count()) {
    // An installation that is younger than an hour misses nothing of it, but the clock of the form has whole seconds.
    throw new Error(await page.getByRole("alert").innerText());
  }
  await says(page, "The replay has started.");
  await press(page, "Cancel");
  await says(page, "The replay is cancelled.");
  assert.equal((await app.call("GET", `${api}/replays`))[0].status, "cancelled");

  // A filter, tried on what came.
  await open(page, `${path}/filter`);
  await page.getByLabel("Filter", { exact: true }).fill("user=\"erp\"");
  await press(page, "Try");
  await page.locator("main").getByText("filtered out").first().waitFor();
  await page.getByLabel("Filter", { exact: true }).fill("user=");
  await press(page, "Try");
  await page.getByRole("alert").first().waitFor();

  // The operator: PIMs, keys, tokens, permissions, suspensions.
  const boss = await visitor();
  await signInAsOperator(boss);
  await open(boss, `/console/subscriptions/${id}/suspend`);
  await boss.getByLabel("Reason").fill("floods our proxy");
  await press(boss, "Suspend");
  await says(boss, "The subscription is suspended.");
  await says(boss, "suspended by the operator of the platform");
  assert.equal(await status(), "suspended");
  await open(boss, `/console/subscriptions/${id}/suspend`);
  await boss.getByLabel("Reason").fill("again");
  await press(boss, "Suspend");
  await boss.getByRole("alert").first().waitFor();
  await open(page, path);
  await says(page, "floods our proxy");
  await press(page, "Resume");
  await says(page, "active again");

  await open(boss, "/console/pims/new");
  await boss.getByLabel("Name", { exact: true }).fill("shop");
  await boss.getByLabel("URL", { exact: true }).fill("https://pim.example.org");
  await press(boss, "Add");
  await boss.getByRole("alert").first().waitFor();
  await boss.getByLabel("Name", { exact: true }).fill("market");
  await press(boss, "Add");
  await check(boss, "operator-pim-created", "/console/pims/market");
  await press(boss, "Create a key");
  await says(boss, "It is shown only now:");
  await boss.getByRole("link", { name: "To the PIM" }).click();
  await boss.getByRole("link", { name: "Revoke" }).first().click();
  await press(boss, "Revoke");
  await says(boss, "Revoked.");
  assert.equal((await operator("GET", "/pims/market")).keys.length, 1);
  await boss.getByRole("link", { name: "Remove" }).click();
  await press(boss, "Remove");
  await says(boss, "Removed.");

  await open(boss, "/console/pims/shop/clients/app");
  await press(boss, "Issue a token");
  await says(boss, "It is shown only now:");
  await open(boss, "/console/pims/shop/clients/app");
  await press(boss, "Revoke");
  await says(boss, "Revoked.");
  await press(boss, "Withdraw");
  await says(boss, "The permission is withdrawn.");
  assert.equal(await status(), "suspended");
  await open(page, path);
  await press(page, "Resume");
  await page.getByRole("heading", { name: "Refused" }).waitFor();
  await press(boss, "Grant");
  await says(boss, "The client may use the platform.");

  // Deleted, after a question.
  await open(page, path);
  await page.getByRole("link", { name: "Delete" }).click();
  await press(page, "Delete");
  await says(page, "Deleted.");
  assert.equal((await app.call("GET", `/subscribers/${shop}/subscriptions`)).length, 0);
  await open(page, path, 404);
  await open(page, `/console/subscribers/${shop}/delete`);
  await press(page, "Delete");
  await says(page, "Deleted.");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.equal(new URL(page.url()).pathname, "/console/sign-in");
});
