import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SeenIds } from "../src/seen-ids.mjs";

const file = () => join(mkdtempSync(join(tmpdir(), "seen-ids-")), "ids");

test("remembers ids across restarts", () => {
  const path = file();
  new SeenIds(path).add("a");
  const seen = new SeenIds(path);
  assert(seen.has("a"));
  assert(!seen.has("b"));
});

test("an id that a crash cut short was not seen, and does not spoil the next one", () => {
  const path = file();
  new SeenIds(path).add("a");
  appendFileSync(path, "cut sho");
  new SeenIds(path).add("b");
  const seen = new SeenIds(path);
  assert.deepEqual(["a", "b", "cut sho"].map((id) => seen.has(id)), [true, true, false]);
});

test("forgets the oldest ids, and keeps its file small", () => {
  const path = file();
  const seen = new SeenIds(path, 10);
  for (let number = 0; number < 1000; number += 1) seen.add(`id ${number}`);
  assert(seen.has("id 990") && !seen.has("id 989"));
  assert(readFileSync(path, "utf8").split("\n").length <= 21);
  assert(new SeenIds(path, 10).has("id 990"));
});
