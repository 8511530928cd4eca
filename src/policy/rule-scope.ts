/** A rule while it is compiled: where its keys are written, what its words are looked up in, and where problems go. */
import type { InferOutput } from "valibot";
import { NameList } from "./names.ts";
import type { Problem, ProblemCode } from "./problems.ts";
import type { PolicySchemas } from "./schema.ts";
import type { Path, Source } from "./source.ts";
import { expandList } from "./words.ts";
import type { Words } from "./words.ts";

export type PermitsFile = InferOutput<PolicySchemas["Permits"]>;
export type GuardsFile = InferOutput<PolicySchemas["Guards"]>;
/** A rule of either kind as its author wrote it; its shape has been checked. */
export type WrittenRule = Omit<PermitsFile["rules"][number], "allowOpaque"> & { allowOpaque?: boolean; deny?: string };

export class RuleScope {
  /** The rule with what it takes from the file's defaults; a rule's key replaces the default whole. */
  readonly rule: WrittenRule;
  readonly source: Source;
  readonly words: Words;
  readonly problems: Problem[];
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
    this.rule = { ...defaults, ...own };
    this.source = source;
    this.words = words;
    this.problems = problems;
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

  error(code: ProblemCode, path: Path, message: string, suggestion = "", at: "key" | "value" = "value"): void {
    this.problems.push(this.source.problem(code, path, message, { suggestion, at }));
  }

  warning(code: ProblemCode, path: Path, message: string, suggestion = ""): void {
    this.problems.push(this.source.problem(code, path, message, { suggestion, at: "key", severity: "warning" }));
  }

  /** The members of a list of names with sets put in; what cannot be expanded is reported. */
  expand(
    written: readonly string[],
    adapter: string | null,
    path: Path,
  ): readonly { readonly text: string; readonly path: Path }[] {
    return expandList(written, this.words.sets(adapter), this.source, path, this.problems);
  }

  /** The list of names at a path; null when it is not written. */
  names(written: readonly string[] | undefined, adapter: string | null, path: Path): NameList | null {
    return written === undefined ? null : new NameList(this.expand(written, adapter, path).map(({ text }) => text));
  }

  /** Reports `any: true` that does not stand alone. */
  checkAny(written: Readonly<Record<string, unknown>>, path: Path, others: string): void {
    if (written["any"] === true && Object.keys(written).length > 1) {
      this.error("BAD_VALUE", path, `any: true stands alone, without ${others}`);
    }
  }
}
