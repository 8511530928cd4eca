/** Turns test files into cases that can be run, and reports what their words do not mean. */
import type { Given } from "../../core/given.ts";
import type { Identity } from "../../core/identity.ts";
import { UNKNOWN } from "../../core/operation.ts";
import type { Access, Accesses, FactValue, Unknown } from "../../core/operation.ts";
import type { TimeMs } from "../../core/session.ts";
import type { VocabularyKey } from "../../core/vocabulary.ts";
import { compileDuration, compileRate, compileSize } from "../language/compile-quantity.ts";
import type { Reporter } from "../language/compile-quantity.ts";
import type { Shaped } from "../language/documents.ts";
import { parseInstant } from "../language/instant.ts";
import { didYouMean } from "../language/nearest.ts";
import { nameOf, whatOf } from "../engine/phrase.ts";
import type { Problem } from "../problems.ts";
import type { Rule } from "../engine/rule.ts";
import { quote } from "../language/shape.ts";
import type { Path, Source } from "../language/source.ts";
import type { ExpectedLimit, ExpectedMask, ExpectedMeter, ExpectedSession, Expectation } from "./test-expectation.ts";
import { TEXT_KEYS } from "./test-schema.ts";
import type { TextKey } from "./test-schema.ts";
import type { KnownTarget, Words } from "../language/words.ts";

const CASES_MAX = 10_000;
const ISSUER_DEFAULT = "weir";
const TITLE_CHARS_MAX = 100;

/** What a case sends. */
export type CaseInput =
  | { readonly kind: "text"; readonly key: TextKey; readonly value: unknown }
  | { readonly kind: "accesses"; readonly accesses: Accesses }
  | { readonly kind: "connect" };

export type TestCase = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** One line for people. */
  readonly title: string;
  readonly identity: Identity;
  /** As the case names it. */
  readonly targetName: string;
  /** Null: neither configured nor in the catalog. */
  readonly target: KnownTarget | null;
  /** The part of the target that the session is in; null: its default. */
  readonly place: string | null;
  readonly input: CaseInput;
  /** Null: the instant at which the tests are run. */
  readonly atMs: TimeMs | null;
  readonly grants: readonly string[];
  /** An approval without its own instant is given at that of the case. */
  readonly approvals: readonly { readonly identity: Identity; readonly atMs: TimeMs | null }[];
  readonly given: Pick<Given, "justification" | "steppedUp" | "confirmedByOwner">;
  readonly expected: Expectation;
};

type WrittenFile = Shaped<"Tests">["file"];
type WrittenCase = WrittenFile["cases"][number];
type WrittenAccess = NonNullable<WrittenCase["accesses"]>[number];

/** The cases of all files. `rules` null: some could not be read, so nothing can be said about their ids. */
export function readTests(
  files: readonly Shaped<"Tests">[],
  words: Words,
  rules: readonly Rule[] | null,
  problems: Problem[],
): readonly TestCase[] {
  const cases: TestCase[] = [];
  for (const { file, source } of files) {
    const reader = new TestFileReader(file, source, words, rules, problems);
    for (const index of file.cases.keys()) {
      const read = reader.case(index);
      if (read !== null) cases.push(read);
    }
    if (cases.length > CASES_MAX) {
      problems.push(source.problem("TOO_LARGE", ["cases"], `the set has more than ${CASES_MAX} cases`));
      return cases.slice(0, CASES_MAX);
    }
  }
  return cases;
}

class TestFileReader implements Reporter {
  readonly #file: WrittenFile;
  readonly #source: Source;
  readonly #words: Words;
  readonly #rules: ReadonlyMap<string, Rule> | null;
  readonly #problems: Problem[];
  readonly #people: ReadonlyMap<string, Identity>;
  readonly #atMs: TimeMs | null;

  constructor(file: WrittenFile, source: Source, words: Words, rules: readonly Rule[] | null, problems: Problem[]) {
    this.#file = file;
    this.#source = source;
    this.#words = words;
    this.#rules = rules === null ? null : new Map(rules.map((rule) => [rule.id, rule]));
    this.#problems = problems;
    this.#people = new Map(Object.keys(file.people ?? {}).map((name) => [name, this.#identity(name)]));
    this.#atMs = this.#instant(file.at, ["at"]);
  }

  error(code: Problem["code"], path: Path, message: string, suggestion = "", at: "key" | "value" = "value"): void {
    this.#problems.push(this.#source.problem(code, path, message, { suggestion, at }));
  }

  /** Null after an error. */
  case(index: number): TestCase | null {
    const written = this.#file.cases[index];
    if (written === undefined) return null;
    const before = this.#problems.length;
    const path: Path = ["cases", index];
    const identity = this.#person(written.as, [...path, "as"]);
    const { target, place } = this.#target(written.target, [...path, "target"]);
    const input = this.#input(written, target, path);
    const read = {
      file: this.#source.file,
      ...this.#source.placeOf(path),
      targetName: written.target,
      target,
      place,
      atMs: this.#instant(written.at, [...path, "at"]) ?? this.#atMs,
      grants: this.#grants(written.grants ?? [], [...path, "grants"]),
      approvals: (written.approvals ?? []).flatMap(({ by, at }, each) => {
        const approver = this.#person(by, [...path, "approvals", each, "by"]);
        const atMs = this.#instant(at, [...path, "approvals", each, "at"]);
        return approver === null ? [] : [{ identity: approver, atMs }];
      }),
      given: {
        justification: written.justification ?? null,
        steppedUp: written.stepUp === true,
        confirmedByOwner: written.confirm === true,
      },
      expected: this.#expectation(written, path),
    };
    if (identity === null || input === null || this.#problems.length > before) return null;
    return { ...read, identity, input, title: this.#title(written, input, target) };
  }

  /** One line: what is sent, and by whom. */
  #title(written: WrittenCase, input: CaseInput, target: KnownTarget | null): string {
    const who = `${nameOf(written.as)} on ${nameOf(written.target)}`;
    if (written.description !== undefined) return `${who}: ${shortened(written.description)}`;
    switch (input.kind) {
      case "connect":
        return `${who}: opens a session`;
      case "accesses": {
        const vocabulary = this.#words.vocabularies.find(({ name }) => name === target?.adapter);
        const what = new Set(input.accesses.map((access) => whatOf(access, vocabulary)));
        return `${who}: ${shortened([...what].join("; "))}`;
      }
      case "text": {
        const texts: readonly unknown[] = Array.isArray(input.value) ? input.value : [input.value];
        const sent = texts.map((each) => (typeof each === "string" ? each : JSON.stringify(each)));
        return `${who}: ${shortened(sent.join("; "))}`;
      }
    }
  }

  #identity(name: string): Identity {
    const written = this.#file.people?.[name];
    const path: Path = ["people", name, "groups"];
    const groups = (written?.groups ?? []).map((group, index) => {
      const id = this.#words.groups.get(group);
      if (id !== undefined) return id;
      const suggestion = didYouMean(group, this.#words.groups.keys());
      this.error("UNKNOWN_GROUP", [...path, index], `there is no group ${quote(group)}`, suggestion);
      return group;
    });
    return {
      kind: written?.kind ?? "human",
      issuer: written?.issuer ?? ISSUER_DEFAULT,
      subject: written?.subject ?? name,
      groups,
      ...(written?.owner === undefined ? {} : { owner: written.owner }),
      proof: { method: "token", credential: "test", expiresAtMs: null },
    };
  }

  #person(name: string, path: Path): Identity | null {
    const identity = this.#people.get(name);
    if (identity !== undefined) return identity;
    const suggestion = didYouMean(name, this.#people.keys()) || "Declare who it is under people";
    this.error("UNKNOWN_PERSON", path, `nobody here is called ${quote(name)}`, suggestion);
    return null;
  }

  /** Names of targets hold no dot: what follows one is a part of the target. */
  #target(text: string, path: Path): { readonly target: KnownTarget | null; readonly place: string | null } {
    const dot = text.indexOf(".");
    const name = dot === -1 ? text : text.slice(0, dot);
    const place = dot === -1 ? null : text.slice(dot + 1);
    const known = this.#words.targets ?? [...this.#words.catalog.targets.values()];
    const target = known.find((each) => each.name === name) ?? null;
    if (target === null && this.#words.targets !== null) {
      const names = known.map((each) => each.name);
      this.error("UNKNOWN_TARGET", path, `there is no target ${quote(name)}`, didYouMean(name, names));
    }
    return { target, place };
  }

  #instant(text: string | undefined, path: Path): TimeMs | null {
    if (text === undefined) return null;
    const ms = parseInstant(text);
    if (ms !== null) return ms;
    this.error("BAD_VALUE", path, `${quote(text)} is not an instant`, 'Write it like "2027-06-30T00:00:00Z"');
    return null;
  }

  #input(written: WrittenCase, target: KnownTarget | null, path: Path): CaseInput | null {
    const given = [...TEXT_KEYS, "connect", "accesses"].filter((key) => Object.hasOwn(written, key));
    const [only, ...others] = given;
    if (only === undefined || others.length > 0) {
      const message = only === undefined ? "the case sends nothing" : `the case has ${given.join(" and ")}`;
      this.error("BAD_VALUE", path, message, `Write one of ${[...TEXT_KEYS, "connect", "accesses"].join(", ")}`);
      return null;
    }
    const key = TEXT_KEYS.find((each) => each === only);
    if (key !== undefined) return { kind: "text", key, value: written[key] };
    if (only === "connect") return { kind: "connect" };
    const accesses = (written.accesses ?? []).map((access, index) =>
      this.#access(access, target, [...path, "accesses", index]),
    );
    const [first, ...more] = accesses;
    return first === undefined ? null : { kind: "accesses", accesses: [first, ...more] };
  }

  /** Keys that no adapter has are refused by the schema; here those of another adapter are. */
  #access(written: WrittenAccess, target: KnownTarget | null, path: Path): Access {
    const vocabulary = this.#words.vocabularies.find(({ name }) => name === target?.adapter);
    const { class: accessClass, opaque, ambient, unknown, ...values } = written;
    const facts: Record<string, FactValue | Unknown> = {};
    const isKnown = (key: string, at: Path): boolean => {
      if (vocabulary === undefined || Object.hasOwn(vocabulary.keys, key)) return true;
      const message = `${quote(key)} is not a key of ${vocabulary.name}`;
      this.error("UNKNOWN_KEY", at, message, didYouMean(key, Object.keys(vocabulary.keys)), "key");
      return false;
    };
    for (const [key, value] of Object.entries(values)) {
      if (isKnown(key, [...path, key])) facts[key] = factOf(value, vocabulary?.keys[key]);
    }
    for (const [index, key] of (unknown ?? []).entries()) {
      if (isKnown(key, [...path, "unknown", index])) facts[key] = UNKNOWN;
    }
    return {
      class: accessClass,
      facts,
      ...(opaque === true ? { opaque } : {}),
      ...(ambient === true ? { ambient } : {}),
    };
  }

  #grants(ids: readonly string[], path: Path): readonly string[] {
    for (const [index, id] of ids.entries()) {
      const rule = this.#rule(id, [...path, index]);
      if (rule === null || (rule.effect === "permit" && rule.activation !== null)) continue;
      const what = rule.effect === "guard" ? "is a guard" : "is awake without one";
      this.error("UNKNOWN_GRANT", [...path, index], `a grant wakes no ${quote(id)}: it ${what}`);
    }
    return ids;
  }

  /** Null after an error, and when nothing is known of the rules. */
  #rule(id: string, path: Path): Rule | null {
    const rule = this.#rules?.get(id);
    if (rule !== undefined || this.#rules === null) return rule ?? null;
    this.error("UNKNOWN_RULE", path, `there is no rule ${quote(id)}`, didYouMean(id, this.#rules.keys()));
    return null;
  }

  #expectation(written: WrittenCase, path: Path): Expectation {
    for (const key of ["by", "observed"] as const) {
      for (const [index, id] of (written[key] ?? []).entries()) this.#rule(id, [...path, key, index]);
    }
    const { mask, limit, session } = written;
    return {
      kind: written.expect,
      by: written.by ?? null,
      mask: mask === undefined ? null : this.#mask(mask, [...path, "mask"]),
      limit: limit === undefined ? null : this.#limit(limit, [...path, "limit"]),
      record: written.record ?? null,
      session: session === undefined ? null : this.#session(session, [...path, "session"]),
      alert: written.alert ?? null,
      requires: written.requires ?? null,
      observed: written.observed ?? null,
      message: written.message ?? null,
    };
  }

  #mask(written: NonNullable<WrittenCase["mask"]>, path: Path): NonNullable<Expectation["mask"]> {
    const words = Object.entries(written).map(([name, word]): [string, ExpectedMask] => {
      // YAML reads null, which is a mask's word, as no value; what is not written at all is a slip.
      if (word === null && this.#source.isBlank([...path, name])) {
        const suggestion = "Write redact, null, hash, partial, or none";
        this.error("BAD_VALUE", [...path, name], "here is no value", suggestion);
      }
      return [name, word ?? "null"];
    });
    return new Map(words);
  }

  #limit(written: NonNullable<WrittenCase["limit"]>, path: Path): ExpectedLimit {
    const bytes = compileSize(this, written.bytes, [...path, "bytes"]);
    const timeMs = compileDuration(this, written.time, [...path, "time"]);
    const rate = compileRate(this, written.rate, [...path, "rate"]);
    const budgets = (written.budget ?? []).flatMap((budget, index): ExpectedMeter[] => {
      const { max, per, across } = budget;
      const unit = (["calls", "rows", "bytes"] as const).find((each) => budget[each] === true) ?? "calls";
      const sum = typeof max === "number" ? max : compileSize(this, max, [...path, "budget", index, "max"]);
      return sum === null ? [] : [{ unit, max: sum, per, across }];
    });
    return {
      ...(written.rows === undefined ? {} : { rows: written.rows }),
      ...(bytes === null ? {} : { bytes }),
      ...(timeMs === null ? {} : { timeMs }),
      meters: rate === null ? budgets : [{ unit: "calls", max: rate.max, per: rate.ms, across: "subject" }, ...budgets],
    };
  }

  #session(written: NonNullable<WrittenCase["session"]>, path: Path): ExpectedSession {
    const maxDurationMs = compileDuration(this, written.maxDuration, [...path, "maxDuration"]);
    const idleMs = compileDuration(this, written.idle, [...path, "idle"]);
    return {
      ...(written.readOnly === true ? { readOnly: true } : {}),
      ...(maxDurationMs === null ? {} : { maxDurationMs }),
      ...(idleMs === null ? {} : { idleMs }),
    };
  }
}

/** A value as an adapter gives it: a text is a list of one, and a map of fields is a list of `name=value`. */
function factOf(value: unknown, key: VocabularyKey | undefined): FactValue {
  if (typeof value === "boolean") return value;
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.filter((item) => typeof item === "string");
  if (key?.kind !== "fields" || typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, texts]) =>
    (Array.isArray(texts) ? texts : [texts]).map((text) => `${name}=${String(text)}`),
  );
}

function shortened(text: string): string {
  const line = nameOf(text.slice(0, TITLE_CHARS_MAX));
  return text.length > TITLE_CHARS_MAX ? `${line}...` : line;
}
