// A client's PIM goes down: nobody can say whether a token is still valid, so pages say that, and come back by themselves.

import assert from "node:assert/strict";
import http from "node:http";
import { check, fillSignIn, fits, isAccessible, open, picture, play, signIn, stage, until, visitor } from "./stage.mjs";
import { client, operator, receiver } from "./world.mjs";

/// A PIM that knows one token.
const pim = http.createServer((request, response) => {
  const known = request.headers.authorization === "Bearer app-token";
  response.writeHead(known ? 200 : 401, { "content-type": "application/json" }).end(JSON.stringify({ client_id: "app" }));
});
const up = (port) => new Promise((resolve) => pim.listen(port, "127.0.0.1", resolve));
async function down() {
  const closed = new Promise((resolve) => pim.close(resolve));
  pim.closeAllConnections();
  await closed;
}

await play(async () => {
  await up(0);
  const { port } = pim.address();
  const url = `http://127.0.0.1:${port}`;
  await operator("POST", "/pims", { name: "shaky", url });
  const app = client("app", url);
  const shop = await app.subscriber("Shop");
  const shown = await app.subscription(shop, `${(await receiver()).url}/shop`);
  const { url: link } = await app.call("POST", "/console-links", { subscriber_id: shop });
  const customer = await visitor();
  await customer.goto(stage.url + new URL(link).pathname + new URL(link).hash);
  await customer.waitForURL(`${stage.url}/console`);
  const page = await visitor();
  await signIn(page, "app", url);
  const live = await page.context().newPage();
  await open(live, "/console/live");
  const state = live.locator("#live-state");
  await state.getByText(/in the last minute$/).waitFor();

  await down();
  const path = `/console${shown.path}`;
  await until("the end of the last answer", async () => (await page.goto(stage.url + path)).status() === 503);
  await check(page, "pim-down", path, 503);
  const said = page.locator("main");
  await said.getByRole("heading", { name: "Not available" }).waitFor();
  await said.getByText("could not check the token with the PIM").waitFor();
  await said.getByRole("link", { name: "pim_unavailable" }).waitFor();
  await said.getByText("Try again in 5 s.").waitFor();
  await state.getByText("No current data: the platform answered 503.").waitFor();
  // It is no wrong token: who signs in is told so, too.
  const second = await visitor();
  await fillSignIn(second, "app", url);
  await second.getByRole("alert").getByText("could not check the token with the PIM").waitFor();
  await fits(second, "a sign-in while the PIM is down");
  await isAccessible(second, "a sign-in while the PIM is down");
  await picture(second, "sign-in-pim-down");
  // A link was checked when it was made: it needs no PIM.
  await open(customer, path);

  // Nobody has to sign in again.
  await up(port);
  await until("the page", async () => (await page.goto(stage.url + path)).status() === 200);
  assert.equal(page.url(), stage.url + path);
  await state.getByText(/in the last minute$/).waitFor();
  pim.closeAllConnections();
  pim.unref();
});
