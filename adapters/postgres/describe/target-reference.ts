/** A masked relation that a statement changes: what is read of it on the way, and what is written. */
import type { MaskedRelation } from "../mask/plan.ts";
import type { Verb } from "../vocabulary.ts";
import type { RelationUse } from "./collector.ts";

/** It stays what it is: nothing can be put in its place. */
export class TargetReference {
  readonly relation: MaskedRelation;
  /** Not one of the collector's: what is read of the relation on the way. */
  readonly reads: RelationUse;
  readonly #writes = new Map<Verb, Set<string>>();

  constructor(relation: MaskedRelation, reads: RelationUse) {
    this.relation = relation;
    this.reads = reads;
  }

  write(verb: Verb, columns: readonly string[]): void {
    const written = this.#writes.get(verb) ?? new Set();
    for (const column of columns) written.add(column);
    this.#writes.set(verb, written);
  }

  /** What takes a value where no columns are listed. */
  writeAll(verb: Verb): void {
    const written = this.relation.columns.filter(({ isGenerated }) => isGenerated !== true);
    this.write(
      verb,
      written.map(({ name }) => name),
    );
  }

  /** The masked columns that each verb writes. */
  *maskedWrites(): Iterable<{ verb: Verb; columns: string[] }> {
    for (const [verb, written] of this.#writes) {
      const columns = this.relation.columns.filter(({ name, mask }) => mask !== null && written.has(name));
      if (columns.length > 0) yield { verb, columns: columns.map(({ name }) => name) };
    }
  }
}
