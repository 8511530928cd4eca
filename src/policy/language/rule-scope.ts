/** A rule while it is compiled: where its keys are written, what its words are looked up in, and where problems go. */
import type { InferOutput } from "valibot";
import type { CatalogTarget } from "../../core/policy-tools.ts";
import { NameList } from "../engine/names.ts";
import type { Problem, ProblemCode } from "../problems.ts";
import type { PolicySchemas } from "./schema.ts";
import { quote } from "./shape.ts";
import type { Path, Source } from "./source.ts";
import { expandItem } from "./words.ts";
import type { KnownTarget, Member, Words } from "./words.ts";

export type PermitsFile = InferOutput<PolicySchemas["Permits"]>;
export type GuardsFile = InferOutput<PolicySchemas["Guards"]>;
type WrittenPermit = PermitsFile["rules"][number];
type WrittenGuard = GuardsFile["rules"][number];
/** A rule of either kind as its author wrote it; its shape has been checked. */
export type WrittenRule = Omit<WrittenPermit, "allowOpaque" | "activation" | "obligations"> &
  Partial<Pick<WrittenPermit, "allowOpaque" | "activation" | "obligations">> &
  Partial<Pick<WrittenGuard, "except" | "mode" | "deny" | "require" | "oblige">>;
export type WrittenException = Exclude<NonNullable<WrittenGuard["except"]>[number], string>;

/**
 * What the words of a rule stand for, by what kind of word and which. Two rules whose keys and references are the same
 * mean the same.
 */
export type References = Map<string, unknown>;

/** One document's part in compiling: its places, the words there are, and where problems and references are gathered. */
export class Scope {
  readonly source: Source;
  readonly words: Words;
  readonly problems: Problem[];
  readonly references: References;
  /** The targets that the rule is about, as far as they are known; null: nothing is known of them. */
  targets: readonly KnownTarget[] | null;

  constructor(
    source: Source,
    words: Words,
    problems: Problem[],
    references: References,
    targets: readonly KnownTarget[] | null,
  ) {
    this.source = source;
    this.words = words;
    this.problems = problems;
    this.references = references;
    this.targets = targets;
  }

  /** The catalog's entries of an adapter's targets that the rule is about; null when one of them has none. */
  catalogTargets(adapter: string): readonly CatalogTarget[] | null {
    const found: CatalogTarget[] = [];
    for (const target of this.targets ?? []) {
      if (target.adapter !== adapter) continue;
      const entry = this.words.catalog.targets.get(target.name);
      if (entry === undefined) return null;
      found.push(entry);
    }
    return found;
  }

  error(code: ProblemCode, path: Path, message: string, suggestion = "", at: "key" | "value" = "value"): void {
    this.problems.push(this.source.problem(code, path, message, { suggestion, at }));
  }

  warning(code: ProblemCode, path: Path, message: string, suggestion = ""): void {
    this.problems.push(this.source.problem(code, path, message, { suggestion, at: "key", severity: "warning" }));
  }

  /** The members of a list of names with sets put in; what cannot be expanded is reported. */
  expand(written: readonly string[], adapter: string | null, path: Path): readonly Member[] {
    return written.flatMap((text, index) => this.expandItem(text, adapter, [...path, index]));
  }

  /** As expand(), of the item at a path. */
  expandItem(text: string, adapter: string | null, path: Path): readonly Member[] {
    const members = expandItem(text, adapter, this.words, this.source, path, this.problems);
    if (text.startsWith("$")) this.references.set(`set ${text}`, members.map((member) => member.text).toSorted());
    return members;
  }

  /** The list of names at a path; null when it is not written. */
  names(written: readonly string[] | undefined, adapter: string | null, path: Path): NameList | null {
    return written === undefined ? null : new NameList(this.expand(written, adapter, path).map(({ text }) => text));
  }

  /** The identity provider's ids of groups, sorted. */
  groups(written: readonly string[], path: Path): readonly string[] {
    const { groups } = this.words;
    const ids = new Set<string>();
    for (const member of this.expand(written, null, path)) {
      const id = groups.get(member.text);
      if (id !== undefined) {
        ids.add(id);
        this.references.set(`group ${member.text}`, id);
        continue;
      }
      const declare = `Declare it in vocabulary.yaml: groups: { ${member.text}: ${member.text} }, where the second is the identity provider's id`;
      const suggestion = this.words.suggestions.didYouMean(member.text, groups.keys()) || declare;
      this.error("UNKNOWN_GROUP", member.path, `there is no group ${quote(member.text)}`, suggestion);
    }
    return [...ids].toSorted();
  }

  /** Reports `any: true` that does not stand alone, and a map that says nothing. */
  checkSays(written: Readonly<Record<string, unknown>>, path: Path, others: string): void {
    if (this.source.isEmptyMap(path))
      this.error("BAD_VALUE", path, "this says nothing", `Write any: true, or ${others}`);
    if (written["any"] === true && Object.keys(written).length > 1)
      this.error("BAD_VALUE", path, `any: true stands alone, without ${others}`);
  }
}

/** The scope of one rule. */
export class RuleScope extends Scope {
  /** The rule with what it takes from the file's defaults; a rule's key replaces the default whole. */
  readonly rule: WrittenRule;
  readonly #own: WrittenRule;
  readonly #index: number;

  /** `index` is the rule's place in the list of rules of its file. */
  constructor(
    own: WrittenRule,
    defaults: Partial<WrittenRule>,
    index: number,
    source: Source,
    words: Words,
    problems: Problem[],
  ) {
    super(source, words, problems, new Map(), words.targets);
    this.rule = { ...defaults, ...own };
    this.#own = own;
    this.#index = index;
  }

  /** The rule as a whole. */
  get path(): Path {
    return ["rules", this.#index];
  }

  /** Where a key of the rule is written: in the rule itself or in the file's defaults. */
  at(key: string): Path {
    return Object.hasOwn(this.#own, key) ? ["rules", this.#index, key] : ["defaults", key];
  }
}
