/** Finds the rules that could contain a block by the names in it, so that not every rule is compared with every other. */
import type { Access, AccessClass, FactValue } from "../../core/operation.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { BlockIndex } from "../engine/block-index.ts";
import type { Block, Rule } from "../engine/rule.ts";

/** A block that could contain another, with its rule. */
type Candidate<TRule> = { readonly block: Block; readonly rule: TRule };

export class Candidates<TRule extends Rule> {
  readonly #byAdapter = new Map<string, BlockIndex<Candidate<TRule>>>();

  constructor(rules: readonly TRule[], vocabularies: Iterable<string>) {
    for (const adapter of vocabularies) {
      const entries = rules.flatMap((rule) => (rule.blocks.get(adapter) ?? []).map((block) => ({ block, rule })));
      this.#byAdapter.set(adapter, new BlockIndex(entries));
    }
  }

  /** The blocks that could contain this one. A rule may come more than once. */
  of(block: Block, vocabulary: Vocabulary): readonly Candidate<TRule>[] {
    const found: Candidate<TRule>[] = [];
    // What contains the block matches all that it matches: also an access of the first of everything that it lists.
    this.#byAdapter.get(vocabulary.name)?.findCovering(accessOf(block, vocabulary), found);
    return found;
  }
}

function accessOf({ classes, keys }: Block, vocabulary: Vocabulary): Access {
  const facts: Record<string, FactValue> = {};
  // Of blocks with classes, only those that have the class of its verbs can contain one that says nothing of classes.
  let accessClass: AccessClass = classes?.values().next().value ?? "connect";
  for (const matcher of keys) {
    const first = matcher.kind === "names" ? matcher.names.texts[0] : undefined;
    if (first === undefined) continue;
    facts[matcher.key] = [first];
    const classOf = vocabulary.keys[matcher.key]?.classOf;
    if (classOf !== undefined && Object.hasOwn(classOf, first)) accessClass = classOf[first] ?? accessClass;
  }
  return { class: accessClass, facts };
}
