// Remembers the ids of processed events across restarts, in a file.
//
// One worker process is enough for this example. Several workers (or a Lambda function, whose disk is ephemeral) share a
// table instead, such as DynamoDB: a conditional put for `add`, a get for `has`, a time to live in place of the capacity.

import { closeSync, fdatasyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

export class SeenIds {
  /** In the order in which they were added: the first one is the oldest. */
  #ids = new Set();
  #path;
  #capacity;
  #file;
  #lines = 0;

  /**
   * @param {string} path
   * @param {number} capacity how many ids are remembered; it should cover all events of the time within which a duplicate
   *   can come: the retries of the platform (35 minutes) and as long as a message may stay in the queue
   */
  constructor(path, capacity = 100_000) {
    this.#path = path;
    this.#capacity = capacity;
    for (const id of readIds(path)) this.#remember(id);
    this.#rewrite();
  }

  has(id) {
    return this.#ids.has(id);
  }

  /** Returns when the id is on the disk. */
  add(id) {
    this.#remember(id);
    // Forgotten ids stay in the file for a while; it never contains more than twice the number of remembered ids.
    if (this.#lines >= 2 * this.#capacity) return this.#rewrite();
    writeSync(this.#file, line(id));
    fdatasyncSync(this.#file);
    this.#lines += 1;
  }

  close() {
    closeSync(this.#file);
  }

  #remember(id) {
    this.#ids.add(id);
    if (this.#ids.size > this.#capacity) this.#ids.delete(this.#ids.values().next().value);
  }

  /** Writes the file afresh, beside the old one: a crash leaves one or the other. */
  #rewrite() {
    const next = openSync(`${this.#path}.next`, "w");
    writeSync(next, [...this.#ids].map(line).join(""));
    fdatasyncSync(next);
    renameSync(`${this.#path}.next`, this.#path);
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = next;
    this.#lines = this.#ids.size;
  }
}

/** An id may hold any character but a control character, so it has a line of its own. */
const line = (id) => `${id}\n`;

function readIds(path) {
  try {
    // Text after the last line end is an id truncated by a crash: its event was not finished.
    return readFileSync(path, "utf8").split("\n").slice(0, -1);
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}
