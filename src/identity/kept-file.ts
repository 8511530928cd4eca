/** Small files of the data folder that hold keys and certificates: there whole or not at all. */
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { messageOf } from "../core/message-of.ts";
import { StoreError } from "./store-error.ts";

/** Null: there is none. Throws StoreError when it cannot be read. */
export function readKept(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw new StoreError(`${path} cannot be read: ${messageOf(error)}`);
  }
}

/** Takes the place of what was there, also when the machine stops in the middle. */
export function writeKept(path: string, text: string, mode: number): void {
  const aside = `${path}.new`;
  const file = openSync(aside, "w", mode);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  chmodSync(aside, mode);
  renameSync(aside, path);
}
