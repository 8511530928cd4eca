/** One line of the self-check, and how its sentences list names. */

/** One thing that must be so. */
export type CheckLine = {
  /** For programs; stable. What is about one relation ends in its name. */
  readonly about: string;
  readonly ok: boolean;
  /** A sentence for people: what is so, or what is not as it must be. */
  readonly text: string;
  /** What to do; empty when all is well. */
  readonly hint: string;
  /** While it is not so a raw value might be read, and nothing masked may be served. */
  readonly isVital: boolean;
};

const PREPARE_AGAIN = "Run weir targets prepare with --apply.";
const NAMES_SHOWN_MAX = 10;

/** What is not as it must be: `bad`; null when `good` holds. */
export function checkLine(
  about: string,
  good: string,
  bad: string | null,
  more: { readonly hint?: string; readonly isVital?: boolean } = {},
): CheckLine {
  const isVital = more.isVital ?? true;
  if (bad === null) return { about, ok: true, text: good, hint: "", isVital };
  return { about, ok: false, text: bad, hint: more.hint ?? PREPARE_AGAIN, isVital };
}

/** `a, b and 3 more`; null when there are none. */
export function listed(names: readonly string[]): string | null {
  if (names.length === 0) return null;
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(", ");
  return names.length > NAMES_SHOWN_MAX ? `${shown} and ${names.length - NAMES_SHOWN_MAX} more` : shown;
}

/** The first column of an answer. */
export function firstColumn(rows: readonly (readonly (string | null)[])[]): string[] {
  return rows.map(([first]) => first ?? "");
}
