/** Masks over what texts hold, whatever column they come from: what an adapter asks of the detectors. */

/**
 * What a text may look like when it is masked. text: anything; JSON in it stays JSON. json: it must stay JSON.
 * parts: quotes, braces and commas in it mean something (an array, a composite), and must stay what they are.
 */
export type ContentForm = "text" | "json" | "parts";

/** Null: the text stays as it is. absent: there is to be no value at all (SQL's NULL). */
export type MaskedContent = Uint8Array | "absent" | null;

/** The content masks of one decision. Best effort: what no detector knows is shown. Never throws. */
export interface ContentMask {
  /** What the UTF-8 text between the two places becomes. Allocates nothing when it stays as it is. */
  mask(bytes: Uint8Array, start: number, end: number, form: ContentForm): MaskedContent;
  /** Is there something in it to be masked? */
  holds(bytes: Uint8Array, start: number, end: number): boolean;
  /** Does the text end within something of several lines (a private key), so that what follows belongs to it? */
  isWithin(bytes: Uint8Array, start: number, end: number): boolean;
}
