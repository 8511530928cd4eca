/** The log's own Ed25519 key in its folder: made once, used for every checkpoint, exchanged in a way that a kill cannot break. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { LogLost } from "./log-file.ts";
import { newSigner, type NoteSigner, openNote, readSigner } from "./note.ts";
import { messageOf } from "../core/message-of.ts";
import { syncFolder } from "./sync-folder.ts";

/** The private key, in the folder of keys; and the one that takes its place, while it does. */
export const KEY_FILE = "log.key";
const NEXT_FILE = "log.key.next";
/** The verifier key, in the data folder: what an auditor keeps. */
export const VKEY_FILE = "log.vkey";

/** The folder of keys inside a data folder. */
export function keysFolder(folder: string): string {
  return join(folder, "keys");
}

export class LogKeys {
  readonly #folder: string;
  readonly #vkeyPath: string;
  #signer: NoteSigner;
  #next: NoteSigner | null = null;

  private constructor(folder: string, vkeyPath: string, signer: NoteSigner) {
    this.#folder = folder;
    this.#vkeyPath = vkeyPath;
    this.#signer = signer;
  }

  /**
   * Reads the key, or makes one when the log has signed nothing yet; `newest` is its newest checkpoint. A rotation that
   * was cut short is finished when the log has it, and undone when it has not. Throws with a sentence for people when
   * the key is not the one of the log, and when a log was signed here before and this one was not: publish() says so.
   */
  static open(data: string, origin: string, newest: string | null): LogKeys {
    const folder = keysFolder(data);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const vkeyPath = join(data, VKEY_FILE);
    const next = readKey(join(folder, NEXT_FILE));
    if (next !== null) {
      if (newest !== null && hasSigned(next, newest)) replace(folder, NEXT_FILE, KEY_FILE);
      else rmSync(join(folder, NEXT_FILE), { force: true });
    }
    if (newest === null && readLine(vkeyPath) !== null) {
      throw new LogLost(
        `${vkeyPath} says that a log was signed here, but this one is new: put the log back from a copy`,
      );
    }
    let signer = readKey(join(folder, KEY_FILE));
    if (signer === null) {
      if (newest !== null) {
        throw new LogLost(
          `the log's key ${join(folder, KEY_FILE)} is not there, but the log has signed with it: put it back from a copy`,
        );
      }
      const made = newSigner(origin, "ed25519");
      keep(join(folder, KEY_FILE), made.privateKey, 0o600);
      signer = made.signer;
    }
    if (signer.name !== origin)
      throw new LogLost(`${join(folder, KEY_FILE)} is the key of ${signer.name}, but the log's origin is ${origin}`);
    if (newest !== null && !hasSigned(signer, newest))
      throw new LogLost(
        `the log's newest checkpoint is not signed with ${join(folder, KEY_FILE)}: one of the two was exchanged`,
      );
    return new LogKeys(folder, vkeyPath, signer);
  }

  /** Puts the verifier key where auditors find it: once the log has a checkpoint that it verifies. */
  publish(): void {
    if (readLine(this.#vkeyPath) !== this.vkey) keep(this.#vkeyPath, this.vkey, 0o644);
  }

  /**
   * Makes a key for a new origin; finish() puts it in the place of whatever key there is. `oldKey` is the verifier key
   * that was in use, null when that cannot be told.
   */
  static begin(data: string, origin: string): { readonly keys: LogKeys; readonly oldKey: string | null } {
    const folder = keysFolder(data);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const vkeyPath = join(data, VKEY_FILE);
    const next = newSigner(origin, "ed25519");
    keep(join(folder, NEXT_FILE), next.privateKey, 0o600);
    const keys = new LogKeys(folder, vkeyPath, next.signer);
    keys.#next = next.signer;
    return { keys, oldKey: readLine(vkeyPath) };
  }

  get vkey(): string {
    return this.#signer.verifier.vkey;
  }

  /** Those that sign a checkpoint now: two while the key is exchanged, the old one first. */
  get signers(): readonly NoteSigner[] {
    return this.#next === null || this.#next === this.#signer ? [this.#signer] : [this.#signer, this.#next];
  }

  /** Makes the key that is to follow and keeps it beside the old one. Both sign until finish(). */
  begin(): { readonly oldKey: string; readonly newKey: string } {
    const next = newSigner(this.#signer.name, "ed25519");
    keep(join(this.#folder, NEXT_FILE), next.privateKey, 0o600);
    this.#next = next.signer;
    return { oldKey: this.vkey, newKey: next.signer.verifier.vkey };
  }

  /** The log has both signatures: from here on the old private key is gone. */
  finish(): void {
    if (this.#next === null) return;
    replace(this.#folder, NEXT_FILE, KEY_FILE);
    this.#signer = this.#next;
    this.#next = null;
    keep(this.#vkeyPath, this.vkey, 0o644);
  }
}

function hasSigned(signer: NoteSigner, note: string): boolean {
  try {
    openNote(note, [signer.verifier]);
    return true;
  } catch {
    return false;
  }
}

/** Null when there is no such file. */
function readKey(path: string): NoteSigner | null {
  const line = readLine(path);
  try {
    return line === null ? null : readSigner(line);
  } catch (error) {
    throw new Error(`${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Null when there is no such file. */
function readLine(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Writes a line so that the file has it as a whole or not at all, also after a loss of power. */
function keep(path: string, line: string, mode: number): void {
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  const file = openSync(temporary, "wx", mode);
  try {
    writeSync(file, `${line}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  chmodSync(temporary, mode);
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

function replace(folder: string, from: string, to: string): void {
  renameSync(join(folder, from), join(folder, to));
  syncFolder(folder);
}
