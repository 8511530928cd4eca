/** What tests of splicing share: the grammars, the places of names, and trees without places. */
import { parse } from "../../adapters/postgres/parser.ts";
import type { ParsedStatement, ParseResult } from "../../adapters/postgres/parser.ts";
import { splice } from "../../adapters/postgres/mask/splice.ts";
import type { Edit } from "../../adapters/postgres/mask/splice.ts";

const encoder = new TextEncoder();

type Read = (text: string) => ParseResult;

/** Each grammar's own function; `loadParser` must have resolved before it is called. */
export const grammars: readonly { readonly major: number; readonly read: Read }[] = [15, 16, 17, 18].map((major) => ({
  major,
  read: (text) => parse(text, major),
}));

export function parse17(text: string): ParseResult {
  return parse(text, 17);
}

/** Throws when the text is not accepted. */
export function statementsOf(text: string, read: Read = parse17): readonly ParsedStatement[] {
  const result = read(text);
  if (result.kind !== "statements") throw new Error(`not accepted: ${text}: ${JSON.stringify(result)}`);
  return result.statements;
}

/** The byte at which the first `name` is. */
export function byteOf(text: string, name: string): number {
  const index = text.indexOf(name);
  if (index < 0) throw new Error(`${name} is not in ${text}`);
  return encoder.encode(text.slice(0, index)).length;
}

/** The spliced text, or why there is none. */
export function spliced(text: string, ...edits: readonly Edit[]): string {
  const result = splice(text, statementsOf(text), edits, parse17);
  return "text" in result ? result.text : `because ${result.because}`;
}

/** A tree as text, without what says where things are in the statement. */
export function shapeOf(tree: unknown): string {
  return JSON.stringify(tree, (key, child: unknown) =>
    /(^|_)(location|start|end)$/.test(key) && typeof child === "number" ? undefined : child,
  );
}
