/** What is done to recordings after the session, so that the log knows it first: opened, made unreadable, deleted. */
import { RecordingReader, type RecordingFacts } from "./reader.ts";
import type { KeptRecorder, RecordingLog } from "./recorder.ts";

/** How long somebody's reason may be, in UTF-16 units. */
export const REASON_UNITS_MAX = 500;

/** Who does it and why. `by` is what the command line knows of whoever runs it. */
export type CustodyOrder = { readonly recording: string; readonly by: string; readonly reason: string };

/** Records that somebody opens what is sealed, with which keys (age recipients); resolves when that is durable. */
export async function recordUnsealing(
  log: RecordingLog,
  { recording, by, reason }: CustodyOrder,
  keys: readonly string[],
): Promise<void> {
  await log.waitDurable(log.event("recording.unsealed", { recording, by, reason, keys }));
}

/** Deletes a recording's wrapped key, recorded first. Null: there is no such recording; false: it has no key any more. */
export async function shredRecording(
  folder: string,
  recorder: KeptRecorder,
  log: RecordingLog,
  { recording, by, reason }: CustodyOrder,
): Promise<boolean | null> {
  const facts = factsOf(folder, recording);
  if (facts === null) return null;
  if (facts.seal !== "open") return false;
  await log.waitDurable(log.event("recording.shredded", { recording, by, reason }));
  return recorder.shred(recording);
}

/** Deletes recordings that ended before an instant, recorded first; answers how many. */
export async function pruneRecordings(
  folder: string,
  recorder: KeptRecorder,
  log: RecordingLog,
  beforeMs: number,
): Promise<number> {
  const recordings = endedBefore(folder, beforeMs);
  if (recordings === 0) return 0;
  await log.waitDurable(log.event("recording.pruned", { recordings, before: new Date(beforeMs).toISOString() }));
  return recorder.prune(beforeMs);
}

function factsOf(folder: string, id: string): RecordingFacts | null {
  const reader = RecordingReader.open(folder);
  try {
    return reader?.find(id).find((facts) => facts.id === id) ?? null;
  } finally {
    reader?.close();
  }
}

function endedBefore(folder: string, beforeMs: number): number {
  const reader = RecordingReader.open(folder);
  try {
    return reader?.endedBefore(beforeMs) ?? 0;
  } finally {
    reader?.close();
  }
}
