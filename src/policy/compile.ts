/** Turns the rules of one file into what the engine runs, and reports what their words do not mean. */
import type { InferOutput } from "valibot";
import { NO_OBLIGATIONS } from "../core/decision.ts";
import type { SubjectKind } from "../core/identity.ts";
import type { AccessClass } from "../core/operation.ts";
import type { Vocabulary, VocabularyKey } from "../core/vocabulary.ts";
import { isGlob } from "./glob.ts";
import { parseInstant } from "./instant.ts";
import { NameList } from "./names.ts";
import { didYouMean } from "./nearest.ts";
import type { Problem, ProblemCode } from "./problems.ts";
import { targetMatches } from "./rule.ts";
import type { Block, KeyMatcher, Rule, SubjectMatcher, TargetMatcher } from "./rule.ts";
import type { PolicySchemas } from "./schema.ts";
import { quote } from "./shape.ts";
import type { Checked } from "./shape.ts";
import type { Path, Source } from "./source.ts";
import { expandList, isWord, WORD_RULE } from "./words.ts";
import type { Words } from "./words.ts";

type PermitsFile = InferOutput<PolicySchemas["Permits"]>;
type GuardsFile = InferOutput<PolicySchemas["Guards"]>;
type WrittenRule = Omit<PermitsFile["rules"][number], "allowOpaque"> & { allowOpaque?: boolean; deny?: string };
type WrittenSubject = NonNullable<WrittenRule["subject"]>;
type WrittenTarget = NonNullable<WrittenRule["target"]>;
type WrittenBlock = Readonly<Record<string, unknown>>;

/** Compiles every rule of a file; a rule with an error is left out and reported. */
export function compileFile(
  { file, rulesAt }: Checked<PermitsFile | GuardsFile>,
  source: Source,
  words: Words,
  problems: Problem[],
): readonly Rule[] {
  const rules: Rule[] = [];
  for (const [index, rule] of file.rules.entries()) {
    const compiled = new RuleCompiler(
      file.kind,
      rule,
      file.defaults ?? {},
      rulesAt[index] ?? index,
      source,
      words,
      problems,
    ).compile();
    if (compiled !== null) rules.push(compiled);
  }
  return rules;
}

class RuleCompiler {
  readonly #kind: "Permits" | "Guards";
  readonly #own: Readonly<Record<string, unknown>>;
  readonly #rule: WrittenRule;
  readonly #index: number;
  readonly #source: Source;
  readonly #words: Words;
  readonly #problems: Problem[];

  constructor(
    kind: "Permits" | "Guards",
    own: WrittenRule,
    defaults: Partial<WrittenRule>,
    index: number,
    source: Source,
    words: Words,
    problems: Problem[],
  ) {
    this.#kind = kind;
    this.#own = own;
    // A rule's key replaces the default whole.
    this.#rule = { ...defaults, ...own };
    this.#index = index;
    this.#source = source;
    this.#words = words;
    this.#problems = problems;
  }

  compile(): Rule | null {
    const errorsBefore = this.#problems.length;
    const rule = this.#rule;
    const isPermit = this.#kind === "Permits";
    for (const key of isPermit ? ["subject", "target", "action"] : ["action", "deny"]) {
      if (!Object.hasOwn(rule, key)) this.#missing(key);
    }
    if (!isWord(rule.id)) this.#error("BAD_VALUE", this.#at("id"), `${quote(rule.id)} cannot name a rule`, WORD_RULE);
    const subject = this.#subject(rule.subject, isPermit);
    const target = this.#target(rule.target);
    const blocks = this.#blocks();
    const validFromMs = this.#instant("validFrom") ?? -Infinity;
    const validUntilMs = this.#instant("validUntil") ?? Infinity;
    if (validFromMs >= validUntilMs) {
      this.#error("BAD_VALUE", this.#at("validUntil"), "validUntil is not after validFrom, so the rule is never valid");
    }
    const contact = this.#sentence("contact");
    const message = this.#sentence("deny");
    const hasErrors = this.#problems.slice(errorsBefore).some((problem) => problem.severity === "error");
    if (hasErrors) return null;
    const { line } = this.#source.problem("BAD_VALUE", ["rules", this.#index], "");
    const base = {
      id: rule.id,
      file: this.#source.file,
      line: line ?? 1,
      contact,
      subject,
      target,
      blocks,
      validFromMs,
      validUntilMs,
    };
    if (!isPermit) return { ...base, effect: "deny", message: message ?? "" };
    this.#warn();
    const decision = Object.freeze({
      kind: "permit",
      rules: Object.freeze([rule.id]),
      obligations: NO_OBLIGATIONS,
    } as const);
    return { ...base, effect: "permit", allowOpaque: rule.allowOpaque === true, decision };
  }

  #subject(written: WrittenSubject | undefined, isPermit: boolean): SubjectMatcher {
    const nobodyInParticular: SubjectMatcher = { names: null, groups: null, kinds: null, owners: null };
    if (written === undefined) return nobodyInParticular;
    const path = this.#at("subject");
    this.#checkAny(written, path, "names, groups, kinds or owners");
    if (written.any === true) return nobodyInParticular;
    const narrow: readonly SubjectKind[] = ["human"];
    const kinds = written.kinds ?? (isPermit ? narrow : null);
    return {
      names: this.#names(written.names, null, [...path, "names"]),
      groups: this.#groups(written.groups, [...path, "groups"]),
      kinds: kinds === null ? null : new Set(kinds),
      owners: this.#names(written.owners, null, [...path, "owners"]),
    };
  }

  #groups(written: readonly string[] | undefined, path: Path): ReadonlySet<string> | null {
    if (written === undefined) return null;
    const ids = new Set<string>();
    for (const member of expandList(written, this.#words.sets(null), this.#source, path, this.#problems)) {
      const id = this.#words.groups.get(member.text);
      if (id !== undefined) {
        ids.add(id);
        continue;
      }
      const suggestion =
        didYouMean(member.text, this.#words.groups.keys()) ||
        "Declare it in vocabulary.yaml under groups, with the identity provider's id";
      this.#error("UNKNOWN_GROUP", member.path, `there is no group ${quote(member.text)}`, suggestion);
    }
    return ids;
  }

  #target(written: WrittenTarget | undefined): TargetMatcher {
    if (written === undefined) return { names: null, labels: [] };
    const path = this.#at("target");
    this.#checkAny(written, path, "names or labels");
    if (written.any === true) return { names: null, labels: [] };
    const errorsBefore = this.#problems.length;
    const names = this.#names(written.names, null, [...path, "names"]);
    this.#checkTargetNames(written.names ?? [], [...path, "names"]);
    const labels = Object.entries(written.labels ?? {}).map(([key, values]) => ({
      key,
      values: this.#labelValues(key, values, [...path, "labels", key]),
    }));
    if (written.labels !== undefined && labels.length === 0)
      this.#error("BAD_VALUE", [...path, "labels"], "labels is empty");
    const matcher = { names, labels };
    const targets = this.#words.targets;
    if (
      targets !== null &&
      this.#problems.length === errorsBefore &&
      !targets.some((target) => targetMatches(matcher, target))
    ) {
      this.#warning("MATCHES_NOTHING", path, `${this.#rule.id} matches none of the configured targets`);
    }
    return matcher;
  }

  #checkTargetNames(written: readonly string[], path: Path): void {
    const targets = this.#words.targets;
    if (targets === null) return;
    const known = targets.map((target) => target.name);
    // Sets that cannot be expanded were reported with the names themselves.
    for (const member of expandList(written, this.#words.sets(null), this.#source, path, [])) {
      if (isGlob(member.text) || known.includes(member.text)) continue;
      this.#error(
        "UNKNOWN_TARGET",
        member.path,
        `there is no target ${quote(member.text)}`,
        didYouMean(member.text, known),
      );
    }
  }

  #labelValues(key: string, values: readonly string[], path: Path): ReadonlySet<string> {
    const labels = this.#words.labels;
    if (labels !== null && !labels.has(key)) {
      this.#error("UNKNOWN_LABEL", path, `there is no label ${quote(key)}`, didYouMean(key, labels.keys()), "key");
    }
    const allowed = labels?.get(key) ?? null;
    for (const [index, value] of values.entries()) {
      if (isGlob(value) || value.startsWith("$")) {
        this.#error("BAD_VALUE", [...path, index], "values of labels are written out: neither globs nor sets");
      } else if (allowed !== null && !allowed.has(value)) {
        this.#error(
          "UNKNOWN_LABEL",
          [...path, index],
          `${quote(value)} is not a value of ${key}`,
          didYouMean(value, allowed),
        );
      }
    }
    return new Set(values);
  }

  #blocks(): ReadonlyMap<string, readonly Block[]> {
    const result = new Map<string, Block[]>(this.#words.vocabularies.map((vocabulary) => [vocabulary.name, []]));
    const action: unknown = this.#rule.action;
    if (action === undefined) return result;
    const path = this.#at("action");
    const written = Array.isArray(action)
      ? action.map((block: unknown, index) => ({ block, path: [...path, index] }))
      : [{ block: action, path }];
    for (const { block, path: blockPath } of written) {
      if (!isRecord(block)) continue;
      const keys = Object.keys(block);
      if (this.#source.isEmptyMap(blockPath))
        this.#error("BAD_VALUE", blockPath, "the block says nothing", "Write any: true for every operation");
      this.#checkAny(block, blockPath, "anything else");
      const named = this.#words.vocabularies.filter((vocabulary) => keys.includes(vocabulary.name));
      for (const vocabulary of named.length === 0 ? this.#words.vocabularies : named) {
        result.get(vocabulary.name)?.push(this.#block(block, vocabulary, blockPath));
      }
    }
    return result;
  }

  #block(written: WrittenBlock, vocabulary: Vocabulary, path: Path): Block {
    const classes: unknown = written["classes"];
    const part = written[vocabulary.name];
    const keys: KeyMatcher[] = [];
    for (const [key, value] of Object.entries(isRecord(part) ? part : {})) {
      const definition = vocabulary.keys[key];
      if (definition === undefined) continue;
      const matcher = this.#key(key, definition, value, vocabulary.name, [...path, vocabulary.name, key]);
      if (matcher !== null) keys.push(matcher);
    }
    const named = new Set(keys.map((matcher) => matcher.key));
    // A block that names no key of the adapter speaks of any of its operations.
    const unnamedKeys =
      keys.length === 0
        ? []
        : Object.keys(vocabulary.keys).filter(
            (key) => vocabulary.keys[key]?.permitsMustName === true && !named.has(key),
          );
    return { classes: isClasses(classes) ? new Set(classes) : null, keys, unnamedKeys };
  }

  #key(key: string, definition: VocabularyKey, value: unknown, adapter: string, path: Path): KeyMatcher | null {
    if (typeof value === "boolean") return { key, kind: "flag", value };
    if (!isStrings(value)) return null;
    const names = this.#names(value, adapter, path);
    if (definition.kind === "enum" && definition.values !== undefined) {
      const known = definition.values;
      for (const member of expandList(value, this.#words.sets(adapter), this.#source, path, [])) {
        if (known.includes(member.text)) continue;
        this.#error(
          "BAD_VALUE",
          member.path,
          `${quote(member.text)} is not one of ${key}`,
          didYouMean(member.text, known),
        );
      }
    }
    return names === null ? null : { key, kind: "names", names };
  }

  #names(written: readonly string[] | undefined, adapter: string | null, path: Path): NameList | null {
    if (written === undefined) return null;
    return new NameList(
      expandList(written, this.#words.sets(adapter), this.#source, path, this.#problems).map((member) => member.text),
    );
  }

  #checkAny(written: Readonly<Record<string, unknown>>, path: Path, others: string): void {
    const keys = Object.keys(written);
    if (others !== "anything else" && this.#source.isEmptyMap(path))
      this.#error("BAD_VALUE", path, "this says nothing", `Write any: true, or ${others}`);
    if (written["any"] === true && keys.length > 1)
      this.#error("BAD_VALUE", path, `any: true stands alone, without ${others}`);
  }

  #instant(key: "validFrom" | "validUntil"): number | null {
    const text = this.#rule[key];
    if (text === undefined) return null;
    const instant = parseInstant(text);
    if (instant === null)
      this.#error(
        "BAD_VALUE",
        this.#at(key),
        `${quote(text)} is not an instant`,
        'Write it like "2027-06-30T00:00:00Z"',
      );
    return instant;
  }

  /** Text that is shown to people and to terminals. */
  #sentence(key: "contact" | "deny"): string | null {
    const text = this.#rule[key]?.trim();
    if (text === undefined) return null;
    if (text === "") this.#error("BAD_VALUE", this.#at(key), "the text is empty");
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit >= 0x20 && (unit < 0x7f || unit > 0x9f)) continue;
      this.#error("BAD_VALUE", this.#at(key), "the text must be one line without control characters");
      break;
    }
    return text;
  }

  #warn(): void {
    const { subject, validUntil } = this.#rule;
    if (subject?.any === true) {
      this.#warning(
        "PERMIT_FOR_ANY_SUBJECT",
        this.#at("subject"),
        `${this.#rule.id} permits something to anybody, agents included`,
      );
    } else if (subject?.kinds?.includes("agent") === true && validUntil === undefined) {
      this.#warning(
        "AGENT_PERMIT_WITHOUT_END",
        this.#at("id"),
        `${this.#rule.id} permits something to agents for ever`,
        "Add validUntil",
      );
    }
  }

  /** Where a key of the rule is written: in the rule itself or in the file's defaults. */
  #at(key: string): Path {
    return Object.hasOwn(this.#own, key) ? ["rules", this.#index, key] : ["defaults", key];
  }

  #missing(key: string): void {
    const message = `${quote(this.#rule.id)} has no ${key}`;
    this.#error(
      "MISSING_KEY",
      ["rules", this.#index],
      message,
      key === "deny" ? "A guard says deny: and a sentence for people" : "",
    );
  }

  #error(code: ProblemCode, path: Path, message: string, suggestion = "", at: "key" | "value" = "value"): void {
    this.#problems.push(this.#source.problem(code, path, message, { suggestion, at }));
  }

  #warning(code: ProblemCode, path: Path, message: string, suggestion = ""): void {
    this.#problems.push(this.#source.problem(code, path, message, { suggestion, at: "key", severity: "warning" }));
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isClasses(value: unknown): value is readonly AccessClass[] {
  // The schema has checked the words.
  return isStrings(value);
}
