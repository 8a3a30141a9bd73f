// Every page of the operator, with data.

import { check, open, play, signInAsOperator, visitor } from "./stage.mjs";
import { furnish, operator } from "./world.mjs";

await play(async () => {
  const world = await furnish();
  const { token } = await operator("POST", "/pims/shop/clients/app/tokens");
  const [{ prefix }] = (await operator("GET", "/pims/shop")).keys;
  const page = await visitor();
  await signInAsOperator(page);
  const pages = {
    overview: "/console",
    subscriptions: "/console/subscriptions",
    "subscriptions-suspended": "/console/subscriptions?status=suspended",
    "subscriptions-none": "/console/subscriptions?pim=unknown",
    suspend: `/console/subscriptions/${world.works.id}/suspend`,
    pims: "/console/pims",
    "pim-new": "/console/pims/new",
    pim: "/console/pims/shop",
    "pim-silent": "/console/pims/outlet",
    "pim-remove": "/console/pims/shop/remove",
    "key-revoke": `/console/pims/shop/keys/${prefix}/revoke`,
    client: "/console/pims/shop/clients/app",
  };
  for (const [name, path] of Object.entries(pages)) await check(page, `operator-${name}`, path);
  await check(page, "operator-not-for-operators", "/console/events", 403);
  await open(page, "/console/pims/shop/clients/app");
  await page.getByText(`${token.slice(0, 6)}`).first().waitFor();
});
