// Pages in frames of other sites: refused, unless they are of a link and the operator allows the site.

import assert from "node:assert/strict";
import http from "node:http";
import { isAccessible, play, signIn, signInAsOperator, stage, until, visitor } from "./stage.mjs";
import { client, receiver } from "./world.mjs";

/// The site that the operator allows; by its address it is another origin, on the site of the platform.
const ALLOWED = stage.app;
const FOREIGN = ALLOWED.replace("localhost", "127.0.0.1");

/// A site that shows any page in a frame.
async function site() {
  const server = http.createServer((request, response) => {
    const shown = new URL(request.url, ALLOWED).searchParams.get("of");
    const frame = `<iframe title="Events" width="1200" height="800" src="${shown}"></iframe>`;
    response.writeHead(200, { "content-type": "text/html" })
      .end(`<!doctype html><html lang="en"><title>App</title><main><h1>App</h1>${frame}</main>`);
  });
  await new Promise((resolve) => server.listen(new URL(ALLOWED).port, "127.0.0.1", resolve));
  server.unref();
}

const framed = (page, origin, shown) => page.goto(`${origin}/?of=${encodeURIComponent(shown)}`);

/// The frame has no page.
async function isRefused(page, origin, path) {
  await framed(page, origin, stage.url + path);
  await until(`${path} is refused in a frame of ${origin}`, () => page.frames()[1]?.url().startsWith("chrome-error:"));
}

await play(async () => {
  await site();
  const at = await receiver();
  const app = client("app");
  const shop = await app.subscriber("Shop");
  const shown = await app.subscription(shop, `${at.url}/shop`);
  const link = async () => {
    const { url } = await app.call("POST", "/console-links", { subscriber_id: shop });
    return new URL(url).pathname + new URL(url).hash;
  };
  const guest = () => visitor({ origins: [ALLOWED, FOREIGN, "null"], expects: /frame-ancestors/ });

  // Whoever is signed in: nowhere, though a page of the same site comes with the session.
  const page = await guest();
  await signIn(page);
  for (const path of ["/console", `/console${shown.path}`, "/console/sign-in", "/console/operator"]) {
    await isRefused(page, ALLOWED, path);
    await isRefused(page, FOREIGN, path);
  }
  const boss = await guest();
  await signInAsOperator(boss);
  await isRefused(boss, FOREIGN, "/console/pims");

  // A link: refused where the operator does not allow it, which does not use it up.
  const unused = await link();
  const customer = await guest();
  await isRefused(customer, FOREIGN, unused);
  await framed(customer, ALLOWED, stage.url + unused);
  const frame = customer.frameLocator("iframe");
  await frame.getByRole("heading", { name: "Overview" }).waitFor();
  await frame.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Subscriptions" }).click();
  await frame.getByRole("link", { name: shown.url }).click();
  await frame.getByRole("heading", { name: "Latest attempts" }).waitFor();
  await isAccessible(customer, "a page with a framed link");
  // By address, partitioned cookies are not found.
  const cookie = (await customer.context().cookies()).find(({ name }) => name === "__Secure-postrider_console");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.secure], [true, "None", true]);
  // Its session stays in that site.
  await customer.goto(`${stage.url}/console`);
  assert.ok(customer.url().startsWith(`${stage.url}/console/sign-in`), customer.url());
});
