// A platform on which nothing is registered yet.

import { check, play, signInAsOperator, visitor } from "./stage.mjs";

await play(async () => {
  const page = await visitor();
  await signInAsOperator(page);
  for (const [name, path] of [["overview", ""], ["subscriptions", "/subscriptions"], ["pims", "/pims"]]) {
    await check(page, `nothing-${name}`, `/console${path}`);
  }
});
