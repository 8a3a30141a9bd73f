// The worker's only call of the PIM's REST API.

import { required } from "./environment.mjs";

const PIM_URL = required("PIM_URL");
const PIM_TOKEN = required("PIM_TOKEN");

/** The PIM answers in well under a second, or something is wrong with it. */
const TIMEOUT_MS = 5000;

/** Writes an asset's description. Gives false if there is no such asset (any more). */
export async function writeDescription(asset, text) {
  const path = ["api/rest/v1/asset-families", asset.asset_family.code, "assets", asset.code];
  const response = await fetch(`${PIM_URL}/${path[0]}/${path.slice(1).map(encodeURIComponent).join("/")}`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${PIM_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({
      code: asset.code,
      values: { description: [{ locale: "en_US", channel: null, data: text }] },
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  await response.body?.cancel();
  if (response.status === 404) return false;
  if (!response.ok) throw new Error(`the PIM answered ${response.status} to the description of asset ${asset.code}`);
  return true;
}
