/** One PostgreSQL parser in WebAssembly: allocate, parse, read, free. What may be given to it is decided in parser.ts. */
import wasm15 from "libpg-query-15/wasm/libpg-query.wasm" with { type: "file" };
import wasm16 from "libpg-query-16/wasm/libpg-query.wasm" with { type: "file" };
import wasm17 from "libpg-query-17/wasm/libpg-query.wasm" with { type: "file" };
import wasm18 from "libpg-query-18/wasm/libpg-query.wasm" with { type: "file" };
import { withInitialPages } from "./parser-memory.ts";

/** The server majors whose own grammar is at hand. */
export const GRAMMAR_MAJORS = [15, 16, 17, 18] as const;
export type GrammarMajor = (typeof GRAMMAR_MAJORS)[number];

/** The part of the package's generated glue that is used here. */
type Glue = {
  readonly HEAPU8: Uint8Array;
  _malloc(sizeBytes: number): number;
  _free(pointer: number): void;
  _wasm_parse_query_raw(text: number): number;
  _wasm_free_parse_result(result: number): void;
  getValue(pointer: number, type: "i32"): number;
  UTF8ToString(pointer: number): string;
};

export type GlueFactory = (options: {
  instantiateWasm(
    imports: Bun.WebAssembly.Imports,
    receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): object;
}) => Promise<Glue>;

/** What the parser answered: the tree as JSON text, or its complaint with the character (from 1) it points at. */
export type RawParse =
  | { readonly kind: "tree"; readonly json: string }
  | { readonly kind: "error"; readonly message: string; readonly position: number };

const WASM_FILES: Record<GrammarMajor, string> = { 15: wasm15, 16: wasm16, 17: wasm17, 18: wasm18 };

/**
 * What a parser begins with, in pages of 64 KiB: 36 MiB, of which its static data and its stack take 33. The modules
 * would begin with 128 MiB. Nothing of that is touched, but the collector counts it as in use, and twice; and as it
 * looks for old garbage only when the heap has grown by a share of its size, it would let ended sessions pile up.
 */
const INITIAL_PAGES = 576;

/** Imported when first needed: a gateway in front of one server holds one grammar. */
async function importGlue(major: GrammarMajor): Promise<GlueFactory> {
  switch (major) {
    case 15:
      return (await import("libpg-query-15/wasm/libpg-query.js")).default;
    case 16:
      return (await import("libpg-query-16/wasm/libpg-query.js")).default;
    case 17:
      return (await import("libpg-query-17/wasm/libpg-query.js")).default;
    case 18:
      return (await import("libpg-query-18/wasm/libpg-query.js")).default;
  }
}

type Grammar = { readonly factory: GlueFactory; readonly module: WebAssembly.Module };
const grammars = new Map<GrammarMajor, Promise<Grammar>>();

async function loadGrammar(major: GrammarMajor): Promise<Grammar> {
  const [factory, bytes] = await Promise.all([importGlue(major), Bun.file(WASM_FILES[major]).arrayBuffer()]);
  return { factory, module: await WebAssembly.compile(withInitialPages(new Uint8Array(bytes), INITIAL_PAGES)) };
}

/**
 * Makes a parser of its own memory; the compiled module is shared.
 * The glue would look for the wasm beside its own source file, which a compiled binary does not have: it is handed over.
 */
export async function makeParserInstance(major: GrammarMajor): Promise<ParserInstance> {
  let grammar = grammars.get(major);
  if (!grammar) {
    grammar = loadGrammar(major);
    grammars.set(major, grammar);
  }
  const { factory, module } = await grammar;
  const glue = await factory({
    instantiateWasm(imports, receive) {
      const instance = new WebAssembly.Instance(module, imports);
      receive(instance, module);
      return instance.exports;
    },
  });
  return new ParserInstance(glue);
}

const encoder = new TextEncoder();
/** A UTF-16 unit is at most three bytes of UTF-8. */
const UTF8_BYTES_PER_UNIT_MAX = 3;

/** One parser. After any exception out of `parse` it may be corrupt for good and must be thrown away. */
export class ParserInstance {
  readonly #glue: Glue;

  constructor(glue: Glue) {
    this.#glue = glue;
  }

  /** The text must hold no NUL: what follows it would silently not be parsed. */
  parse(text: string): RawParse {
    const glue = this.#glue;
    const sizeMaxBytes = text.length * UTF8_BYTES_PER_UNIT_MAX + 1;
    const pointer = glue._malloc(sizeMaxBytes);
    if (pointer === 0) throw new Error("the parser is out of memory");
    const room = glue.HEAPU8.subarray(pointer, pointer + sizeMaxBytes);
    const { written } = encoder.encodeInto(text, room);
    room[written] = 0;
    // struct { char *parse_tree; char *stderr_buffer; PgQueryError *error; }
    const result = glue._wasm_parse_query_raw(pointer);
    if (result === 0) throw new Error("the parser is out of memory");
    const tree = glue.getValue(result, "i32");
    const error = glue.getValue(result + 8, "i32");
    let answer: RawParse;
    if (error !== 0) {
      // struct { char *message, *funcname, *filename; int lineno; int cursorpos; char *context; }
      const message = glue.getValue(error, "i32");
      answer = {
        kind: "error",
        message: message === 0 ? "syntax error" : glue.UTF8ToString(message),
        position: Math.max(0, glue.getValue(error + 16, "i32")),
      };
    } else {
      if (tree === 0) throw new Error("the parser gave no answer");
      answer = { kind: "tree", json: glue.UTF8ToString(tree) };
    }
    glue._free(pointer);
    glue._wasm_free_parse_result(result);
    return answer;
  }
}
