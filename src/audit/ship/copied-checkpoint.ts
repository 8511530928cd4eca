/** Checkpoints as copies hold them: read as far as they can be, and compared with the log they should be of. */
import { type Checkpoint, NoteError, readCheckpoint } from "../note.ts";
import type { SeenLog } from "./destination.ts";

/** The checkpoint in a signed note, its signatures aside; null: there is none that can be read. */
export function checkpointIn(note: Uint8Array): Checkpoint | null {
  const text = Buffer.from(note).toString("utf8");
  try {
    return readCheckpoint(text.slice(0, text.indexOf("\n\n") + 1));
  } catch (error) {
    if (error instanceof NoteError) return null;
    throw error;
  }
}

/** Why a checkpoint of the log's origin is not the log's own state when it had so many entries; null: it is. */
export function conflictOf({ origin, size, root }: Checkpoint, log: SeenLog): string | null {
  if (size > log.size) return `the copy has ${size} entries of ${origin}, and this log only ${log.size}`;
  if (Buffer.compare(root, log.root(size)) === 0) return null;
  return `the copy has another checkpoint of ${origin} at ${size} entries than this log`;
}
