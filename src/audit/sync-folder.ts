/** Makes what was renamed in a folder durable. */
import { closeSync, fsyncSync, openSync } from "node:fs";

export function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
