/** Reads texts for one target database and remembers what they do, so that a text seen before costs a look-up. */
import type { Analysis, Reading } from "./analysis.ts";
import { describe, innerStatementOf, opaqueAnalysis } from "./describe.ts";
import type { Description, TextIdentity } from "./describe.ts";
import type { PreparedStatements } from "./describe/statement.ts";
import type { Node } from "./describe/tree.ts";
import { isParserLoaded, loadParser, parse, parseSlow, SYNCHRONOUS_BYTES_MAX } from "./parser.ts";
import type { ParseResult } from "./parser.ts";
import { STATEMENT_BYTES_MAX_DEFAULT } from "./parser-limits.ts";
import { Reparser } from "./reparser.ts";
import { SharedAccesses } from "./shared-accesses.ts";

const CACHE_ENTRIES_MAX_DEFAULT = 10_000;
const CACHE_BYTES_MAX_DEFAULT = 32 * 1024 * 1024;
/** How many times as long as a client's text the text may be that masks make of it. */
const REWRITTEN_GROWTH_MAX = 4;
/** What an analysis takes beside its text, roughly. */
const ENTRY_BYTES = 2_048;

export type AnalyserOptions = {
  readonly statementBytesMax?: number;
  readonly cacheEntriesMax?: number;
  /** Texts with what is kept beside them, roughly. */
  readonly cacheBytesMax?: number;
};

/**
 * A cache in two generations: what is used moves to the young one, and when that is full, the old one is dropped.
 * A hit in the young generation is one look-up and moves nothing.
 */
class Generations {
  #young = new Map<string, Analysis>();
  #old = new Map<string, Analysis>();
  #youngBytes = 0;
  readonly #entriesMax: number;
  readonly #bytesMax: number;

  constructor(entriesMax: number, bytesMax: number) {
    this.#entriesMax = entriesMax / 2;
    this.#bytesMax = bytesMax / 2;
  }

  get(key: string): Analysis | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, analysis: Analysis): void {
    const bytes = key.length + analysis.text.length * 2 + ENTRY_BYTES;
    if (bytes > this.#bytesMax) return;
    if (this.#young.size >= this.#entriesMax || this.#youngBytes + bytes > this.#bytesMax) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(key, analysis);
    this.#youngBytes += bytes;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Each byte becomes one character: that tells all byte strings apart, whatever their encoding, and is cheap. */
const byteDecoder = new TextDecoder("windows-1252");
const lenientDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Analyser {
  readonly #statementBytesMax: number;
  readonly #cache: Generations;
  /** What of a reading tells analyses apart, per reading object, ready to stand before a text. */
  readonly #prefixes = new WeakMap<Reading, string>();
  /** Short names for those: there are few at a time. */
  #prefixNumbers = new Map<string, number>();
  #prefixCount = 0;
  readonly #accesses = new SharedAccesses();

  constructor(options: AnalyserOptions = {}) {
    this.#statementBytesMax = options.statementBytesMax ?? STATEMENT_BYTES_MAX_DEFAULT;
    this.#cache = new Generations(
      options.cacheEntriesMax ?? CACHE_ENTRIES_MAX_DEFAULT,
      options.cacheBytesMax ?? CACHE_BYTES_MAX_DEFAULT,
    );
  }

  /**
   * What these bytes do. A promise for texts over 32 KiB, which another process parses, and while the parser of this
   * server's major is still being loaded. Never throws, never rejects. The same bytes under an equal reading give the
   * same object while it is remembered, except where the session's prepared statements or cursors were asked.
   */
  analyse(sql: Uint8Array, reading: Reading): Analysis | Promise<Analysis> {
    const key = this.#prefix(reading) + byteDecoder.decode(sql);
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    return this.#read(sql, reading, key);
  }

  #read(sql: Uint8Array, reading: Reading, key: string): Analysis | Promise<Analysis> {
    const identity = identityOf(sql);
    const because = cannotBeRead(sql, identity.text, reading);
    if (because !== null) return this.#remember(key, opaqueAnalysis(identity, reading, because));
    const { text } = identity;
    const { serverMajor } = reading;
    if (sql.length > SYNCHRONOUS_BYTES_MAX) {
      const parsed = parseSlow(text, serverMajor, this.#statementBytesMax);
      return loadParser(serverMajor)
        .catch(() => {})
        .then(() => parsed)
        .then((result) => this.#describe(result, identity, reading, key))
        .catch(() => opaqueAnalysis(identity, reading, "it could not be read"));
    }
    if (!isParserLoaded(serverMajor)) {
      return loadParser(serverMajor)
        .then(() => this.#describe(parse(text, serverMajor), identity, reading, key))
        .catch(() => opaqueAnalysis(identity, reading, "the parser cannot be loaded"));
    }
    return this.#describe(parse(text, serverMajor), identity, reading, key);
  }

  #describe(parsed: ParseResult, identity: TextIdentity, reading: Reading, key: string): Analysis | Promise<Analysis> {
    if (parsed.kind === "refused") {
      // Not remembered: the parser may have been what failed.
      return opaqueAnalysis(identity, reading, parsed.reason);
    }
    if (parsed.kind === "error") {
      return this.#remember(key, opaqueAnalysis(identity, reading, "it is no SQL", parsed.error));
    }
    const reparser = Reparser.of(reading.serverMajor);
    const read = (): Description => describe(parsed.statements, identity, reading, preparedIn(reading), reparser.parse);
    const { value, wanted } = reparser.attempt(read);
    if (wanted === null) return this.#finish(value, key);
    // What is put into a text makes it longer than what a client may send.
    return parseSlow(wanted, reading.serverMajor, this.#statementBytesMax * REWRITTEN_GROWTH_MAX)
      .then((result) => this.#finish(reparser.attempt(read, { text: wanted, result }).value, key))
      .catch(() => opaqueAnalysis(identity, reading, "what masks make of it could not be read"));
  }

  #finish({ analysis, isSessionBound }: Description, key: string): Analysis {
    const shared = { ...analysis, accesses: this.#accesses.share(analysis.accesses, analysis.understood) };
    return isSessionBound ? shared : this.#remember(key, shared);
  }

  #remember(key: string, analysis: Analysis): Analysis {
    this.#cache.set(key, analysis);
    return analysis;
  }

  #prefix(reading: Reading): string {
    let prefix = this.#prefixes.get(reading);
    if (prefix === undefined) {
      prefix = this.#numberOf(fingerprint(reading));
      this.#prefixes.set(reading, prefix);
    }
    return prefix;
  }

  #numberOf(print: string): string {
    let number = this.#prefixNumbers.get(print);
    if (number === undefined) {
      // Numbers are never given twice, so forgetting some only costs hits.
      if (this.#prefixNumbers.size >= PREFIXES_MAX) this.#prefixNumbers = new Map();
      number = this.#prefixCount++;
      this.#prefixNumbers.set(print, number);
    }
    return `${number} `;
  }
}

const PREFIXES_MAX = 1_000;

/** All of a reading that an analysis depends on, but for what is asked by name. */
function fingerprint(reading: Reading): string {
  const { temporaryNames, redefinedNames } = reading;
  return JSON.stringify([
    reading.database,
    reading.serverMajor,
    reading.catalog?.digest ?? null,
    reading.searchPath,
    temporaryNames === "unknown" ? null : [...temporaryNames].toSorted(),
    [...(redefinedNames ?? [])].toSorted(),
    reading.mayBeTakenBack ?? false,
    reading.standardConformingStrings,
    reading.clientEncodingIsUtf8,
    reading.cannotBeAsked ?? false,
    reading.plan?.digest ?? null,
  ]);
}

function identityOf(sql: Uint8Array): TextIdentity {
  return { text: lenientDecoder.decode(sql), textSha256: new Bun.CryptoHasher("sha256").update(sql).digest("hex") };
}

/** Why gateway and server could read these bytes differently; null when they cannot. */
function cannotBeRead(sql: Uint8Array, text: string, reading: Reading): string | null {
  if (reading.cannotBeAsked === true)
    return "settings that decide how it is read may have changed, and the server cannot be asked before the next Sync";
  if (!reading.standardConformingStrings)
    return "standard_conforming_strings is off, so strings would be read differently";
  if (!reading.clientEncodingIsUtf8) {
    if (sql.some((byte) => byte > 0x7f)) return "client_encoding is not UTF8, and the statement is not plain ASCII";
    return null;
  }
  if (!text.includes("\uFFFD")) return null;
  try {
    decoder.decode(sql);
    return null;
  } catch {
    return "it is not valid UTF-8";
  }
}

/** What the session has prepared, as a statement to be read again. */
function preparedIn(reading: Reading): PreparedStatements {
  return (name) => {
    const analysis = reading.preparedStatement(name);
    if (!analysis || !analysis.understood) return undefined;
    // What was prepared by the protocol is a text of one statement.
    const statement = innerStatementOf(analysis) ?? onlyStatement(analysis.text, reading.serverMajor);
    return statement && { statement, masking: analysis.masking };
  };
}

function onlyStatement(text: string, serverMajor: number): Node | undefined {
  if (!isParserLoaded(serverMajor)) return undefined;
  const parsed = parse(text, serverMajor);
  if (parsed.kind !== "statements" || parsed.statements.length !== 1) return undefined;
  const [statement] = parsed.statements;
  return statement && { kind: statement.kind, fields: statement.node };
}
