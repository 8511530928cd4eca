/** What masking makes of one text of a governed session: a refusal, another text to send, or the text as it is. */
import { createHash } from "node:crypto";
import type { Compared } from "./comparison.ts";
import type { RawShape } from "./raw-shape.ts";
import type { Edit } from "./splice.ts";

export type StatementMasking = {
  /** Why a governed session may not run it, for people; null: it may. */
  readonly refusal: { readonly message: string; readonly hint: string } | null;
  /** What to send instead of the text; null: the text itself. */
  readonly rewritten: {
    readonly bytes: Uint8Array;
    /** Where a position in the sent text (characters from 1, as the server counts) lies in the client's. */
    readonly positions: { toOriginal(position: number): number };
  } | null;
  /** Tells what was put where in the text (signatureOf), which the server may read again later; null: it is not sent. */
  readonly signature: string | null;
  /** It touches a masked relation or calls what is not built in: the server's details about it stay here. */
  readonly hidesDetail: boolean;
  /** Which raw rows are behind the masks of what it shows. */
  readonly raw: RawShape;
  /** The masked column whose value it compares; null: none, and so it guesses nothing. */
  readonly compares: Compared | null;
};

/**
 * Equal for equal edits of the same text. Whatever the server keeps of a text (PREPARE, Parse, Bind) keeps what was put
 * into it; names that were left as they were are looked up again. So it may run for as long as the same would be put.
 */
export function signatureOf(edits: readonly Edit[]): string {
  if (edits.length === 0) return "";
  const sorted = edits.map((edit) => JSON.stringify(edit)).toSorted();
  return createHash("sha256").update(sorted.join("\n")).digest("hex");
}

/** What was made of a text before is what would be made of it now. */
export function isSentAs(now: StatementMasking | null, then: StatementMasking | null): boolean {
  return now === null ? then === null : then !== null && now.signature !== null && now.signature === then.signature;
}
