/** The real PostgreSQL grammar of each server major, kept from what would stall or corrupt it. */
import { GRAMMAR_MAJORS, makeParserInstance } from "./parser-instance.ts";
import type { GrammarMajor, ParserInstance, RawParse } from "./parser-instance.ts";
import { parseInChild } from "./parser-child.ts";
import { refusalBeforeParsing, STATEMENT_BYTES_MAX_DEFAULT } from "./parser-limits.ts";
import { withoutComments } from "./without-comments.ts";

/** Longer texts are parsed in a process that can be killed: WebAssembly that runs too long cannot be stopped otherwise. */
export const SYNCHRONOUS_BYTES_MAX = 32 * 1024;

/** A node of the tree: its fields, zero values left out. */
export type Fields = Readonly<Record<string, unknown>>;

/** One statement of a text. `startByte` and `lengthBytes` count UTF-8 bytes; a length of 0 reaches to the end. */
export type ParsedStatement = {
  readonly kind: string;
  readonly node: Fields;
  readonly startByte: number;
  readonly lengthBytes: number;
};

/** The server's own kind of error; `position` is a character from 1, 0 when there is none. */
export type SyntaxError = { readonly message: string; readonly position: number };

export type ParseResult =
  | { readonly kind: "statements"; readonly statements: readonly ParsedStatement[] }
  | { readonly kind: "error"; readonly error: SyntaxError }
  /** Not given to the parser, or the parser failed; a sentence for people. */
  | { readonly kind: "refused"; readonly reason: string };

const encoder = new TextEncoder();
const instances = new Map<GrammarMajor, ParserInstance>();
const loading = new Map<GrammarMajor, Promise<void>>();

/** The nearest grammar at hand: what a newer server adds is then a syntax error here, which is opaque. */
function grammarMajor(serverMajor: number): GrammarMajor {
  const oldest = GRAMMAR_MAJORS[0];
  let nearest: GrammarMajor = oldest;
  for (const major of GRAMMAR_MAJORS) if (major <= serverMajor) nearest = major;
  return nearest;
}

/** True when `parse` may be called; it is false before the first `loadParser` and while a corrupt parser is replaced. */
export function isParserLoaded(serverMajor: number): boolean {
  return instances.has(grammarMajor(serverMajor));
}

/** Makes the parser of this major if it is not there; it takes some 15 MiB, so only majors in use have one. */
export function loadParser(serverMajor: number): Promise<void> {
  const major = grammarMajor(serverMajor);
  if (instances.has(major)) return Promise.resolve();
  let pending = loading.get(major);
  if (!pending) {
    pending = makeParserInstance(major)
      .then((instance) => void instances.set(major, instance))
      .finally(() => void loading.delete(major));
    loading.set(major, pending);
  }
  return pending;
}

/** Parses a short text at once. `loadParser` must have resolved. */
export function parse(text: string, serverMajor: number): ParseResult {
  const reason = refusalBeforeParsing(encoder.encode(text), SYNCHRONOUS_BYTES_MAX);
  if (reason !== null) return { kind: "refused", reason };
  // The parser cannot allocate nothing.
  if (text === "") return { kind: "statements", statements: [] };
  const result = readResult(() => parseRaw(text, serverMajor));
  const blanked = result.kind === "error" ? withoutComments(text) : null;
  if (blanked === null || !isParserLoaded(serverMajor)) return result;
  return better(
    readResult(() => parseRaw(blanked, serverMajor)),
    result,
  );
}

/** A text that is wrong with and without its comments is told of as it was written. */
function better(blanked: ParseResult, result: ParseResult): ParseResult {
  return blanked.kind === "statements" ? blanked : result;
}

/** Parses a text of any length up to the limit in another process. Never rejects. */
export async function parseSlow(
  text: string,
  serverMajor: number,
  bytesMax: number = STATEMENT_BYTES_MAX_DEFAULT,
): Promise<ParseResult> {
  const bytes = encoder.encode(text);
  const reason = refusalBeforeParsing(bytes, bytesMax);
  if (reason !== null) return { kind: "refused", reason };
  const major = grammarMajor(serverMajor);
  const result = await parseElsewhere(bytes, major);
  const blanked = result.kind === "error" ? withoutComments(text) : null;
  return blanked === null ? result : better(await parseElsewhere(encoder.encode(blanked), major), result);
}

async function parseElsewhere(bytes: Uint8Array, major: GrammarMajor): Promise<ParseResult> {
  const answer = await parseInChild(bytes, major);
  return answer.kind === "refused" ? answer : readResult(() => answer);
}

/** One parse with the loaded parser. Whatever it throws, the parser is thrown away: it may be corrupt for good. */
function parseRaw(text: string, serverMajor: number): RawParse {
  const major = grammarMajor(serverMajor);
  const instance = instances.get(major);
  if (!instance) throw new Error("the parser is not loaded");
  try {
    return instance.parse(text);
  } catch (error) {
    instances.delete(major);
    throw error;
  }
}

function readResult(produce: () => RawParse): ParseResult {
  try {
    const raw = produce();
    if (raw.kind === "error") return { kind: "error", error: { message: raw.message, position: raw.position } };
    return { kind: "statements", statements: readStatements(JSON.parse(raw.json)) };
  } catch {
    return { kind: "refused", reason: "the statement is too complex to be parsed" };
  }
}

function readStatements(tree: unknown): ParsedStatement[] {
  const list = fieldsOf(tree)["stmts"] ?? [];
  if (!Array.isArray(list)) throw new Error("the parse tree has no list of statements");
  return list.map((item: unknown) => {
    const raw = fieldsOf(item);
    const wrapper = Object.entries(fieldsOf(raw["stmt"]));
    const [entry] = wrapper;
    if (!entry || wrapper.length !== 1) throw new Error("a statement of the parse tree is not one node");
    return {
      kind: entry[0],
      node: fieldsOf(entry[1]),
      startByte: numberOr0(raw["stmt_location"]),
      lengthBytes: numberOr0(raw["stmt_len"]),
    };
  });
}

/** The fields of a node; throws when the value is none. */
function fieldsOf(value: unknown): Fields {
  if (!isFields(value)) throw new Error("a value of the parse tree is no node");
  return value;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOr0(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
