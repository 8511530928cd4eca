/** Which key of a log signs its checkpoints from which size on: the keys that are trusted, and the rotations between them. */
import { NoteError, type NoteVerifier, openNote, readVerifier } from "../note.ts";
import { messageOf } from "../../core/message-of.ts";
import type { Findings } from "./finding.ts";
import type { Mark } from "./relations.ts";
import type { LogSource } from "./source.ts";

/** In a form that passes between threads: each key signs checkpoints above `above`, up to that of the next. */
export type KeySpan = { readonly vkey: string; readonly above: number };

const KEY_ROTATED = "audit.key_rotated";
/** The owner accepted that entries, or the key, were lost: the log goes on under a new origin, with a new key. */
export const LOSS_ACCEPTED = "audit.loss_accepted";
/** What changes the key of a log. */
export const KEY_EVENTS: readonly string[] = [KEY_ROTATED, LOSS_ACCEPTED];

/**
 * The keys of the log, the first one first. What does not hold together is found: a rotation from a key that was not in
 * use, or whose first checkpoint is not signed by both keys, and a log without any of the trusted keys.
 */
export function keyChain(
  trusted: readonly NoteVerifier[],
  marks: readonly Mark[],
  source: LogSource,
  findings: Findings,
): KeySpan[] {
  const spans: KeySpan[] = [];
  for (const { event, index, facts } of marks) {
    const isLoss = event === LOSS_ACCEPTED;
    const [old, next] = isLoss ? [facts["oldKey"], facts["newKey"]] : [facts["old"], facts["new"]];
    const place = `entry ${index}`;
    if (isLoss && old === null && typeof next === "string") {
      const before = trusted.find(({ name }) => name === facts["old"]);
      if (spans.length === 0 && before !== undefined) spans.push({ vkey: before.vkey, above: 0 });
      spans.push({ vkey: next, above: index });
      expectTrusted(next, trusted, place, findings);
      continue;
    }
    const keys = typeof old === "string" && typeof next === "string" ? readKeys(old, next) : null;
    if (keys === null) {
      findings.add("key", place, "rotates the log's key, but does not say which keys these are");
      continue;
    }
    const [oldKey, newKey] = keys;
    const last = spans.at(-1);
    if (last === undefined) spans.push({ vkey: oldKey.vkey, above: 0 });
    else if (last.vkey !== oldKey.vkey) {
      findings.add("key", place, `replaces the key ${oldKey.keyId}, which was not the log's key then`);
    }
    spans.push({ vkey: newKey.vkey, above: index });
    // What was lost may be the old key: nothing but the new key's owner vouches for the new origin.
    if (isLoss) {
      expectTrusted(newKey.vkey, trusted, place, findings);
      continue;
    }
    const [first] = source.checkpoints(index, source.size);
    if (first !== undefined && !isSignedBy(first.note, oldKey, newKey)) {
      findings.add(
        "key",
        `checkpoint ${first.size}`,
        "is the first of a new key, and not signed by the old key and the new one",
      );
    }
  }
  const [only, ...others] = trusted;
  if (spans.length === 0 && only !== undefined) {
    // Without a rotation there is one key. Which of several it is, the newest checkpoint says.
    const signer = others.length === 0 ? only : (newestSigner(source, trusted) ?? only);
    spans.push({ vkey: signer.vkey, above: 0 });
  } else if (only !== undefined && !trusted.some(({ vkey }) => spans.some((span) => span.vkey === vkey))) {
    findings.add(
      "key",
      "log",
      `is signed by none of the trusted keys: ${trusted.map(({ name, keyId }) => `${name}+${keyId}`).join(", ")}`,
    );
  }
  return spans;
}

/** Nothing but trust in its key says that a new origin is the same gateway's. */
function expectTrusted(vkey: string, trusted: readonly NoteVerifier[], place: string, findings: Findings): void {
  if (trusted.some((each) => each.vkey === vkey)) return;
  findings.add("key", place, `begins a new origin with a key that is not trusted: ${vkey}`);
}

/** A span of sizes with its key, read. */
export type KeySpanRead = { readonly verifier: NoteVerifier; readonly above: number };

export function readSpans(spans: readonly KeySpan[]): KeySpanRead[] {
  return spans.map(({ vkey, above }) => ({ verifier: readVerifier(vkey), above }));
}

/** The key of a checkpoint of this origin and size; a key has the name of its origin. Undefined: the log had none then. */
export function keyAt(spans: readonly KeySpanRead[], origin: string, size: number): NoteVerifier | undefined {
  return spans.findLast(({ verifier, above }) => verifier.name === origin && size > above)?.verifier;
}

function newestSigner(source: LogSource, trusted: readonly NoteVerifier[]): NoteVerifier | undefined {
  let newest = "";
  for (const { note } of source.checkpoints(0, source.size)) newest = note;
  try {
    return openNote(newest, trusted).verified[0]?.verifier;
  } catch {
    // Said of each checkpoint later.
    return undefined;
  }
}

function readKeys(old: string, next: string): [NoteVerifier, NoteVerifier] | null {
  try {
    return [readVerifier(old), readVerifier(next)];
  } catch {
    return null;
  }
}

function isSignedBy(note: string, ...keys: readonly NoteVerifier[]): boolean {
  try {
    return openNote(note, keys).verified.length === keys.length;
  } catch {
    return false;
  }
}

/** Why a note is not what it should be, in words. */
export function noteReason(error: unknown): string {
  return error instanceof NoteError ? error.message : `cannot be read: ${messageOf(error)}`;
}
