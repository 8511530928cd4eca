/** An entry of the log as one line for people. */
import type { Leaf } from "../audit/entry.ts";

/** Time, number, what happened, to whom it belongs. Names that clients chose are made harmless to a terminal. */
export function entryLine(leaf: Leaf): string {
  const head = `${new Date(leaf.timeMs).toISOString()}  #${leaf.index}  `;
  return head + printable(words(leaf));
}

function words(leaf: Leaf): string {
  switch (leaf.shape) {
    case "intent": {
      const { subject, target, operation, decision } = leaf;
      const rules =
        decision.rules === undefined || decision.rules.length === 0 ? "" : `  by ${decision.rules.join(", ")}`;
      const outcome = leaf.outcome === undefined ? "" : `  ${outcomeWords(leaf.outcome)}`;
      const accesses = operation.accesses.map(accessWords).filter((each) => each !== operation.kind);
      const what = accesses.length === 0 ? operation.kind : `${operation.kind} (${[...new Set(accesses)].join("; ")})`;
      return `${decision.kind}  ${subject.kind} ${subject.name} on ${target.name}  ${what}${rules}${outcome}  id ${leaf.id}`;
    }
    case "outcome":
      return `${outcomeWords(leaf.outcome)}  id ${leaf.id ?? "unknown"}`;
    case "event": {
      const facts = Object.entries(leaf.facts).map(([name, value]) => `${name}=${factWords(value)}`);
      return [leaf.event, ...facts].join("  ");
    }
  }
}

function accessWords(access: Extract<Leaf, { shape: "intent" }>["operation"]["accesses"][number]): string {
  if (access.opaque === true) return `${access.class}, could not be read`;
  const { verbs, relations, functions, argv, paths, forwards } = access.facts;
  // The words of a command say what they are; a list of them is one command.
  if (Array.isArray(argv)) return argv.join(" ");
  // Columns stay out: a line is for an overview, the entry itself has them.
  const parts = [verbs, relations, access.class === "execute" ? functions : undefined]
    .filter((fact) => fact !== undefined)
    .map(factWords);
  const places = paths ?? forwards;
  if (places !== undefined) return `${access.class} ${factWords(places)}`;
  return parts.length === 0 ? access.class : parts.join(" ");
}

function factWords(value: null | boolean | number | string | readonly string[]): string {
  if (value === null) return "?";
  return typeof value === "object" ? value.join(",") : String(value);
}

function outcomeWords(outcome: { status: string; code?: string | undefined; rows?: number | undefined }): string {
  const code = outcome.code === undefined ? "" : ` ${outcome.code}`;
  const rows = outcome.rows === undefined ? "" : `, ${outcome.rows} ${outcome.rows === 1 ? "row" : "rows"}`;
  return `${outcome.status}${code}${rows}`;
}

/** Control characters and what changes the direction of text, written out as escapes. */
export function printable(text: string): string {
  let result = "";
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    const isDirection =
      (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    result += isControl || isDirection ? `\\u${code.toString(16).padStart(4, "0")}` : char;
  }
  return result;
}
