/** What the search index keeps of one entry: whose it is, what was decided and how it ended, and its words. */
import type { Through } from "../../core/session.ts";
import { isList, isObject, type Json, type JsonObject, parseJson } from "../canonical.ts";
import { storable } from "./schema.ts";

/** Whose an entry is. Words are redacted: names, verbs, rules, codes; never a value out of a statement. */
export type Who = {
  readonly subject: string | null;
  readonly issuer: string | null;
  readonly target: string | null;
  readonly words: string;
};

/** What an entry says, whoever it is of. */
export type What = {
  readonly event: string;
  readonly decision: string | null;
  readonly refusal: string | null;
  /** How the operation ended; null where the entry does not say. */
  readonly status: string | null;
  readonly rules: readonly string[];
  readonly words: string;
};

/** Of an entry that belongs to nobody. */
export const NOBODY: Who = { subject: null, issuer: null, target: null, words: "" };

export type Ended = {
  readonly timeMs: number;
  readonly status: string;
  readonly code: string | null;
  readonly rows: number;
  readonly bytes: number;
};

/** Who opened a session, from where, to what. */
export type SessionTrace = {
  readonly id: string;
  readonly subject: string | null;
  readonly issuer: string | null;
  readonly subjectKind: string | null;
  readonly target: string | null;
  readonly adapter: string | null;
  readonly source: string | null;
  readonly through: Through | null;
  readonly openedMs: number;
};

type Common = {
  readonly timeMs: number;
  /** What `weir audit show` finds it by. */
  readonly ids: readonly string[];
};

export type IntentTrace = Common & {
  readonly shape: "intent";
  readonly id: string;
  readonly who: Who;
  readonly what: What;
  readonly session: SessionTrace;
  /** It opened the session. */
  readonly isConnect: boolean;
  readonly isRefusal: boolean;
  readonly isHouse: boolean;
  /** It is PostgreSQL's, and its adapter could read all of it. */
  readonly isReadSql: boolean;
  readonly ended: Ended | null;
};

export type Trace =
  | IntentTrace
  | (Common & {
      readonly shape: "outcome";
      readonly id: string | null;
      readonly intent: number | null;
      readonly ended: Ended;
    })
  | (Common & { readonly shape: "event"; readonly who: Who; readonly what: What; readonly sessionId: string | null });

/** Of one entry; what is longer is not looked for. */
const WORDS_UNITS_MAX = 16_384;
const WORD_UNITS_MAX = 256;
/** What is as long as a digest and looks like one is nothing to search for: it would make each entry one of its own. */
const DIGEST_UNITS_MIN = 32;
/** Facts that are ids: found by `show`, or by the session, and not by words. */
const ID_FACTS = new Set(["id", "session", "recording"]);
/** Facts that say whose an event is. */
const WHO_FACTS = new Set(["subject", "issuer", "target"]);

/** Reads a leaf as far as the index needs it. A leaf of no known form is an event without words. */
export function traceOf(leaf: Uint8Array): Trace {
  const json = parse(textOf(leaf));
  const event = text(json["event"]) ?? "";
  const timeMs = number(json["timeMs"]);
  if (event === "operation.intent" || event === "operation.refusal") return intentTrace(json);
  if (event === "operation.outcome") {
    const id = text(json["id"]);
    const intent = typeof json["intent"] === "number" ? json["intent"] : null;
    const ended = endedOf(map(json["outcome"]), timeMs);
    return { shape: "outcome", timeMs, ids: id === null ? [] : [id], id, intent, ended };
  }
  return eventTrace(event, map(json["facts"]), timeMs);
}

/** What an intent is made of: who asks for what, how that was decided, and how it ended. */
export type IntentParts = {
  readonly event: string;
  readonly operation: JsonObject;
  readonly decision: JsonObject;
  readonly session: JsonObject;
  readonly subject: JsonObject;
  readonly target: JsonObject;
  /** It opened the session. */
  readonly isConnect: boolean;
  readonly ended: Ended | null;
};

/** Works out what the index keeps of an intent's parts. */
export type PartReader = {
  who(parts: IntentParts): Who;
  what(parts: IntentParts): What;
  session(parts: IntentParts): SessionTrace;
};

/** Reads the leaf of an intent or a refusal. `reader` may remember what the parts of others were. */
export function intentTrace(json: JsonObject, reader: PartReader = EACH_ANEW): IntentTrace {
  const event = text(json["event"]) ?? "";
  const timeMs = number(json["timeMs"]);
  const id = text(json["id"]) ?? "";
  const operation = map(json["operation"]);
  const decision = map(json["decision"]);
  const session = map(json["session"]);
  const isConnect = operation["kind"] === "connect" && id === (text(session["id"]) ?? "");
  const ended = json["outcome"] === undefined ? null : endedOf(map(json["outcome"]), timeMs);
  const [subject, target] = [map(json["subject"]), map(json["target"])];
  const parts = { event, operation, decision, session, subject, target, isConnect, ended };
  return {
    shape: "intent",
    timeMs,
    ids: [id],
    id,
    who: reader.who(parts),
    what: reader.what(parts),
    session: reader.session(parts),
    isConnect,
    isRefusal: event === "operation.refusal",
    isHouse: decision["kind"] === "house",
    isReadSql: operation["adapter"] === "postgres" && operation["understood"] === true,
    ended,
  };
}

export const EACH_ANEW: PartReader = {
  who({ subject, target }) {
    const words = new Words();
    const proof = map(subject["proof"]);
    for (const word of [subject["name"], subject["owner"], subject["issuer"], subject["kind"]]) words.add(word);
    for (const word of [proof["credential"], target["name"]]) words.add(word);
    const [name, issuer] = [text(subject["name"]), text(subject["issuer"])];
    return { subject: name, issuer, target: text(target["name"]), words: words.text };
  },

  what({ event, operation, decision, session, isConnect, ended }) {
    const rules = texts(decision["rules"]);
    const words = new Words();
    for (const word of [operation["kind"], operation["adapter"], decision["kind"], decision["refusal"]])
      words.add(word);
    if (operation["understood"] === false) words.add("opaque");
    for (const each of list(operation["accesses"])) {
      const access = map(each);
      words.add(access["class"]);
      if (access["opaque"] === true) words.add("opaque");
      for (const fact of Object.values(map(access["facts"]))) for (const name of texts(fact)) words.add(nameOf(name));
    }
    for (const rule of rules) words.add(rule);
    for (const rule of texts(decision["observed"])) words.add(rule);
    // Only here: an address in all of them would make the entries of each address something of their own.
    if (isConnect) words.add(session["source"]);
    if (ended !== null) words.addEnd(ended);
    const [kind, refusal] = [text(decision["kind"]), text(decision["refusal"])];
    return { event, decision: kind, refusal, status: ended?.status ?? null, rules, words: words.text };
  },

  session({ session, subject, target, operation }) {
    return {
      id: text(session["id"]) ?? "",
      subject: text(subject["name"]),
      issuer: text(subject["issuer"]),
      subjectKind: text(subject["kind"]),
      target: text(target["name"]),
      adapter: text(operation["adapter"]),
      source: text(session["source"]),
      through: throughOf(map(session["through"])),
      openedMs: number(session["openedAtMs"]),
    };
  },
};

/** What an outcome's entry says: what it belongs to is its intent's. */
export function outcomeWhat(intent: What | null, ended: Ended): What {
  const words = new Words();
  if (intent !== null) words.add(intent.words, WORDS_UNITS_MAX);
  words.addEnd(ended);
  const { decision = null, refusal = null, rules = [] } = intent ?? {};
  return { event: "operation.outcome", decision, refusal, rules, status: ended.status, words: words.text };
}

/** What an entry says whose statement was recorded in the clear: found by the statement's words too. */
export function withStatement(what: What, statementWords: readonly string[]): What {
  const words = new Words();
  words.add(what.words, WORDS_UNITS_MAX);
  for (const word of statementWords) words.add(word);
  return { ...what, words: words.text };
}

function eventTrace(event: string, facts: JsonObject, timeMs: number): Trace {
  const words = new Words();
  const whose = new Words();
  const ids: string[] = [];
  for (const [name, value] of Object.entries(facts)) {
    if (ID_FACTS.has(name)) {
      if (typeof value === "string" && name !== "session") ids.push(value);
    } else if (WHO_FACTS.has(name)) whose.add(value);
    else if (typeof value === "string") words.addValue(value);
    else for (const item of texts(value)) words.addValue(item);
  }
  const who = { subject: text(facts["subject"]), issuer: text(facts["issuer"]), target: text(facts["target"]) };
  return {
    shape: "event",
    timeMs,
    ids,
    who: { ...who, words: whose.text },
    what: {
      event,
      decision: null,
      refusal: text(facts["code"]),
      status: null,
      rules: texts(facts["rules"]),
      words: words.text,
    },
    sessionId: text(facts["session"]),
  };
}

function throughOf(through: JsonObject): Through | null {
  const [session, operation] = [text(through["session"]), text(through["operation"])];
  return session === null || operation === null ? null : { session, operation };
}

function endedOf(outcome: JsonObject, timeMs: number): Ended {
  return {
    timeMs: typeof outcome["timeMs"] === "number" ? outcome["timeMs"] : timeMs,
    status: text(outcome["status"]) ?? "unknown",
    code: text(outcome["code"]),
    rows: number(outcome["rows"]),
    bytes: number(outcome["bytes"]),
  };
}

/** Different words one behind the other, up to a limit. */
class Words {
  readonly #words = new Set<string>();
  #units = 0;

  add(word: unknown, unitsMax: number = WORD_UNITS_MAX): void {
    if (typeof word !== "string" || word === "") return;
    const kept = word.length > unitsMax ? word.slice(0, unitsMax) : word;
    if (this.#units + kept.length > WORDS_UNITS_MAX || this.#words.has(kept)) return;
    this.#words.add(kept);
    this.#units += kept.length + 1;
  }

  /** A fact of an event, unless it is a digest. */
  addValue(value: string): void {
    if (!isDigest(value)) this.add(value);
  }

  addEnd({ status, code }: Ended): void {
    this.add(status);
    this.add(code);
  }

  get text(): string {
    return storable([...this.#words].join("\n"));
  }
}

/** Of `name=value` only the name: values are not searched for. */
function nameOf(fact: string): string {
  const at = fact.indexOf("=");
  return at > 0 ? fact.slice(0, at) : fact;
}

function isDigest(value: string): boolean {
  if (value.length < DIGEST_UNITS_MIN) return false;
  for (let at = 0; at < value.length; at++) {
    const unit = value.charCodeAt(at);
    const isHex = (unit >= 0x30 && unit <= 0x39) || (unit >= 0x61 && unit <= 0x66) || (unit >= 0x41 && unit <= 0x46);
    if (!isHex) return false;
  }
  return true;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The text of a leaf. */
export function textOf(leaf: Uint8Array): string {
  return decoder.decode(leaf);
}

function parse(leaf: string): JsonObject {
  try {
    return map(parseJson(leaf));
  } catch {
    return {};
  }
}

function map(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function list(value: Json | undefined): readonly Json[] {
  return typeof value === "object" && value !== null && isList(value) ? value : [];
}

function text(value: unknown): string | null {
  return typeof value === "string" ? storable(value) : null;
}

function texts(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item) => typeof item === "string").map(storable);
}

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
