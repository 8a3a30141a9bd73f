import assert from "node:assert/strict";
import { test } from "node:test";
import { isSigned } from "../src/signature.mjs";

const body = Buffer.from('{"a":1}');
// The known signature of the platform's documentation.
const genuine = "e07da89f9169bfea31192fda579e9ad8b7d5fec7ea771dae231e23f3bf01d24a";
const primary = (signature) => ({ "x-akeneo-signature-primary": signature });

test("accepts a signature with any of our secrets, in either header", () => {
  assert(isSigned(body, primary(genuine), ["your_primary_secret"]));
  assert(isSigned(body, primary(genuine), ["a_new_secret", "your_primary_secret"]));
  const secondary = { ...primary("0".repeat(64)), "x-akeneo-signature-secondary": genuine };
  assert(isSigned(body, secondary, ["your_primary_secret"]));
});

test("refuses everything else", () => {
  assert(!isSigned(Buffer.from('{"a": 1}'), primary(genuine), ["your_primary_secret"]), "another body");
  assert(!isSigned(body, primary(genuine), ["another_secret"]), "another secret");
  assert(!isSigned(body, primary(genuine.slice(1)), ["your_primary_secret"]), "too short");
  assert(!isSigned(body, primary(genuine.toUpperCase()), ["your_primary_secret"]), "another spelling");
  assert(!isSigned(body, {}, ["your_primary_secret"]), "no signature");
});
