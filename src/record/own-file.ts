/**
 * That a database's path still leads to the file that was opened: one that was taken away keeps nothing. src/audit has the same:
 * the parts of the house share only what touches no disk.
 */
import { type BigIntStats, statSync } from "node:fs";

/** The file that a path leads to is not the one that was opened, or there is none. */
class FileExchanged extends Error {}

export class OwnFile {
  readonly #path: string;
  readonly #opened: BigIntStats | undefined;

  /** To be made when the file has been opened. */
  constructor(path: string) {
    this.#path = path;
    this.#opened = lookAt(path);
  }

  /** To be called when something was written and before anybody relies on it. Throws FileExchanged. */
  expect(): void {
    const now = lookAt(this.#path);
    if (now !== undefined && now.ino === this.#opened?.ino && now.dev === this.#opened.dev) return;
    throw new FileExchanged(`${this.#path} was taken away or exchanged while it was written to`);
  }
}

function lookAt(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}
