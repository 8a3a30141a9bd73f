// Signing in, links for an app's users, and how sessions end.

import assert from "node:assert/strict";
import { check, fits, isAccessible, open, picture, play, signIn, signInAsOperator, stage, until, visitor }
  from "./stage.mjs";
import { client, operator, receiver } from "./world.mjs";

await play(async () => {
  const at = await receiver();
  const app = client("app");
  const shop = await app.subscriber("Shop");
  const search = await app.subscriber("Search");
  const shown = await app.subscription(shop, `${at.url}/shop`);
  const hidden = await app.subscription(search, `${at.url}/search`);
  const link = async (more) => (await app.call("POST", "/console-links", { subscriber_id: shop, ...more }));
  const follow = async (page, { url }) => {
    // The platform is not at its public URL here.
    await page.goto(stage.url + new URL(url).pathname + new URL(url).hash);
    await page.waitForURL(`${stage.url}/console`);
  };

  // Ends in a minute, while the rest is played.
  const short = await link({ minutes: 1 });
  const brief = await visitor();
  await follow(brief, short);

  // Whoever is not signed in gets there after signing in.
  const page = await visitor();
  await page.goto(`${stage.url}/console${shown.path}`);
  assert.equal(page.url(), `${stage.url}/console/sign-in?to=${encodeURIComponent(`/console${shown.path}`)}`);
  await page.getByLabel("PIM URL").fill(stage.pim);
  await page.getByLabel("Client id").fill("app");
  await page.getByLabel("Token").fill("a wrong token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").first().waitFor();
  await fits(page, "a refused sign-in");
  await isAccessible(page, "a refused sign-in");
  await picture(page, "sign-in-refused");
  await page.getByLabel("Token").fill("app-token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${stage.url}/console${shown.path}`);

  // The token is nowhere in the page, and no script can read the cookie.
  assert.ok(!(await page.content()).includes("app-token"));
  assert.equal(await page.evaluate(() => document.cookie), "");
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/console"]);
  assert.ok(!Buffer.from(cookie.value, "base64url").toString("latin1").includes("app-token"));

  // A form of an earlier session is refused.
  const other = await page.context().newPage();
  await open(other, `/console${shown.path}`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  await signIn(page);
  await other.getByRole("button", { name: "Suspend" }).click();
  await other.getByText("This form belongs to another session").waitFor();
  assert.equal((await app.call("GET", shown.path)).status, "active");

  // A read-only link shows its subscriber only, without actions, and once.
  const once = await link({});
  const reader = await visitor();
  await follow(reader, once);
  for (const [name, path] of [["overview", ""], ["subscriptions", "/subscriptions"], ["subscription", shown.path], ["events", "/events"],
    ["log", "/log"], ["live", "/live"], ["try", "/try"]]) {
    await check(reader, `link-${name}`, `/console${path}`);
    assert.ok(!(await reader.content()).includes(hidden.id), `${path} shows another subscriber`);
  }
  await open(reader, `/console${hidden.path}`, 404);
  await open(reader, `/console/subscribers/${search}`, 404);
  await open(reader, `/console${shown.path}`);
  for (const name of ["Suspend", "Resume", "Edit", "Delete", "Send a test event"]) {
    assert.equal(await reader.locator("main").getByText(name, { exact: true }).count(), 0, name);
  }
  const second = await visitor();
  await second.goto(stage.url + "/console/link" + new URL(once.url).hash);
  await second.getByText("This link was used already").waitFor();
  await isAccessible(second, "a used link");
  // With scripts off it says what it needs.
  const plain = await visitor({ javaScriptEnabled: false });
  await plain.goto(stage.url + "/console/link#x");
  await plain.getByText("Opening a link needs JavaScript").waitFor();

  // One that may change things.
  const writer = await visitor();
  await follow(writer, await link({ read_only: false }));
  await open(writer, `/console${shown.path}`);
  await writer.getByRole("button", { name: "Suspend" }).click();
  await writer.getByText("The subscription is suspended.").waitFor();
  assert.equal((await app.call("GET", shown.path)).status, "suspended");

  // A session ends with its credentials.
  const boss = await visitor();
  await signInAsOperator(boss);
  const { token } = await operator("POST", "/pims/shop/clients/app/tokens");
  const guest = await visitor();
  await open(guest, "/console/sign-in");
  await guest.getByLabel("PIM URL").fill(stage.pim);
  await guest.getByLabel("Client id").fill("app");
  await guest.getByLabel("Token").fill(token);
  await guest.getByRole("button", { name: "Sign in" }).click();
  await guest.waitForURL(`${stage.url}/console`);
  const [{ prefix }] = (await operator("GET", "/pims/shop/clients/app/tokens")).items;
  await operator("DELETE", `/pims/shop/clients/app/tokens/${prefix}`);
  await guest.goto(`${stage.url}/console/log`);
  await guest.getByText("Your session has ended. Sign in again.").waitFor();
  await guest.goto(`${stage.url}/console`);
  assert.ok(guest.url().includes("/console/sign-in"), "the cookie still works");

  // Attempts are limited.
  const guesser = await visitor();
  await open(guesser, "/console/operator");
  await until("too many attempts", async () => {
    await guesser.getByLabel("Operator key").fill("a guess of twenty-four chars");
    await guesser.getByRole("button", { name: "Sign in" }).click();
    return guesser.getByText("Too many attempts").count();
  });

  // The minute is over.
  await until("the end of a link", async () => {
    await brief.goto(`${stage.url}/console`);
    return brief.url().includes("/console/sign-in");
  }, 90);
  assert.ok(Date.now() >= Date.parse(short.expires_at), "it ended before its time");
});
