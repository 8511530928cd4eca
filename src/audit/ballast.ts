/** A file that keeps room on the disk for the log's closing records: given up when the disk is full, had again before new work is taken. */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { messageOf } from "../core/message-of.ts";

/** The ballast's file inside the data folder. */
export const BALLAST_FILE = "audit.ballast";
/** Room for the outcomes of all that runs and for what says that the log has failed, several times over. */
const BALLAST_BYTES = 4 * 1024 * 1024;

export class Ballast {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Makes the file unless it is there. Throws with a sentence for people when there is no room for it. */
  hold(): void {
    if (this.isHeld) return;
    try {
      // Whatever lies there, be it a link to something of somebody's, is not written to.
      this.release();
      const file = openSync(this.#path, "wx", 0o600);
      try {
        // Nothing that a file system could store in less than its size.
        for (let left = BALLAST_BYTES; left > 0;) left -= writeSync(file, randomBytes(Math.min(left, 1024 * 1024)));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      this.release();
      throw new Error(
        `${this.#path} cannot be made, ${BALLAST_BYTES / 1024 / 1024} MiB of room that the log keeps for its last records: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  get isHeld(): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.size === BALLAST_BYTES;
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }
}
