/** A checkpoint that was kept elsewhere: what the log must still agree with. */
import { readCheckpoint, unverifiedText, type Checkpoint } from "../note.ts";

/** `source` says where it is from, for messages. */
export type KeptCheckpoint = { readonly source: string; readonly note: string; readonly checkpoint: Checkpoint };

/** Throws NoteError. Whether the log has signed it is looked at later, with the log's keys. */
export function readKept(source: string, note: string): KeptCheckpoint {
  return { source, note, checkpoint: readCheckpoint(unverifiedText(note)) };
}
