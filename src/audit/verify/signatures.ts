/** Checks the signatures of checkpoints: the log's own on each, and those of witnesses. */
import { NoteError, type NoteVerifier, openNote, readCheckpoint, readVerifier, unverifiedText } from "../note.ts";
import { type FindingList, Findings } from "./finding.ts";
import { keyAt, type KeySpan, noteReason, readSpans } from "./key-chain.ts";
import type { LogSource } from "./source.ts";

/** Checkpoints above one size and up to another. */
export type SignatureOrder = {
  readonly from: number;
  readonly to: number;
  readonly keys: readonly KeySpan[];
  /** Keys that are trusted for any size, where the log does not say which of them was whose. */
  readonly others: readonly string[];
  /** Verifier keys of the witnesses that are asked for. */
  readonly witnesses: readonly string[];
};

/** The largest checkpoint that a witness has cosigned. */
export type Witnessed = {
  readonly vkey: string;
  readonly size: number;
  /** When, as the witness says. */
  readonly timeSeconds: number | null;
};

export type SignatureReport = {
  readonly checkpoints: number;
  /** The largest size that the log's key has signed, cosigned or not; 0: none. */
  readonly signed: number;
  readonly findings: FindingList;
  readonly witnessed: readonly Witnessed[];
};

export function checkSignatures(
  source: LogSource,
  { from, to, keys, others: alternatives, witnesses }: SignatureOrder,
): SignatureReport {
  const findings = new Findings();
  const spans = readSpans(keys);
  const trusted = alternatives.map(readVerifier);
  const outside = witnesses.map(readVerifier);
  const witnessed = new Map<string, Witnessed>();
  let checkpoints = 0;
  let signed = 0;
  const open = (place: string, size: number, note: string, others: readonly NoteVerifier[]): void => {
    if (spans.length === 0) return;
    try {
      const { origin } = readCheckpoint(unverifiedText(note));
      const own = keyAt(spans, origin, size);
      if (own === undefined)
        throw new NoteError(`it is of ${origin}, and no key of that name was the log's at that size`);
      const known = [...spans.map(({ verifier }) => verifier), ...trusted, ...others];
      const { text, verified } = openNote(note, known);
      if (!verified.some(({ verifier }) => verifier.vkey === own.vkey || trusted.includes(verifier))) {
        throw new NoteError(`it is not signed by ${own.name}+${own.keyId}, the log's key at that size`);
      }
      if (readCheckpoint(text).size !== size) throw new NoteError(`it is of another size than it is stored under`);
      signed = Math.max(signed, size);
      for (const { verifier, timeSeconds } of verified) {
        if (others.includes(verifier)) witnessed.set(verifier.vkey, { vkey: verifier.vkey, size, timeSeconds });
      }
    } catch (error) {
      findings.add(others.length > 0 ? "cosignature" : "signature", place, noteReason(error));
    }
  };
  for (const { size, note } of source.checkpoints(from, to)) {
    checkpoints++;
    open(`checkpoint ${size}`, size, note, []);
  }
  for (const { size, note } of source.cosigned(from, to)) open(`cosigned checkpoint ${size}`, size, note, outside);
  return { checkpoints, signed, findings: findings.list(), witnessed: [...witnessed.values()] };
}
