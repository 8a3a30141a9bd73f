// Verifies that a request comes from the platform.

import { createHmac, timingSafeEqual } from "node:crypto";

const HEADERS = ["x-akeneo-signature-primary", "x-akeneo-signature-secondary"];
const LENGTH = 64; // hex digits of an HMAC-SHA256

/**
 * Whether one of the signatures was made over exactly these bytes with one of our secrets.
 *
 * A subscription has up to two secrets, and so may we: to change a secret, give both sides the old and the new one, and take
 * the old one away when every request carries the new one's signature.
 *
 * @param {Buffer} rawBody the body as it came: parsed and written again it may differ
 * @param {Record<string, string | undefined>} headers names in lower case
 * @param {string[]} secrets
 */
export function isSigned(rawBody, headers, secrets) {
  return secrets.some((secret) => {
    const expected = Buffer.from(createHmac("sha256", secret).update(rawBody).digest("hex"));
    return HEADERS.some((name) => {
      const signature = Buffer.from(headers[name] ?? "");
      // An ordinary comparison stops at the first difference, so its duration reveals the position.
      return signature.length === LENGTH && timingSafeEqual(signature, expected);
    });
  });
}
