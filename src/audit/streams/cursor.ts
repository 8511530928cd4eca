/** How far a stream has come: the index of the next entry, in a file of its own, so that a restart goes on from there. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { readSize } from "../note.ts";

export class StreamCursor {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Null: the stream has never run, or its file cannot be read. */
  read(): number | null {
    return existsSync(this.#path) ? readSize(readFileSync(this.#path, "utf8").trim()) : null;
  }

  /** As a whole or not at all. After a loss of power it may be an older one: entries are then sent twice. */
  write(next: number): void {
    const aside = `${this.#path}.new`;
    writeFileSync(aside, `${next}\n`, { mode: 0o600 });
    renameSync(aside, this.#path);
  }
}
