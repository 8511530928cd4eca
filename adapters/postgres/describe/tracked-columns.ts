/** The columns that a statement names of a masked relation, with those that conditions look at told apart. */
import type { MaskedRelation, PlannedColumn } from "../mask/plan.ts";
import type { RelationUse } from "./collector.ts";
import type { BaseColumn } from "./scope.ts";

/** What of a statement's reading they ask and tell. */
export type ColumnTracker = {
  /** What is read now is looked at to choose, to order or to group rows. */
  readonly isInCondition: boolean;
  /** Somebody wants to know the columns that are kept out of conditions. */
  readonly isCapturing: boolean;
  capture(column: BaseColumn): void;
};

/** The columns of one use of a masked relation, which remember those that conditions look at. */
export class TrackedColumns extends Set<string> {
  readonly inConditions = new Set<string>();
  readonly #tracker: ColumnTracker;
  readonly #relation: MaskedRelation;
  /** Set by whoever makes the use. */
  use: RelationUse | null = null;

  constructor(tracker: ColumnTracker, relation: MaskedRelation) {
    super();
    this.#tracker = tracker;
    this.#relation = relation;
  }

  override add(column: string): this {
    if (this.#tracker.isInCondition) this.inConditions.add(column);
    if (this.use && this.#tracker.isCapturing && this.isKept(column)) {
      this.#tracker.capture({ use: this.use, column });
    }
    return super.add(column);
  }

  isKept(column: string): boolean {
    return this.#relation.columns.some((planned) => planned.name === column && isKeptOut(planned));
  }
}

/** Policy keeps it out of conditions. `equality` too, but for the one that compares it with a parameter (References.compares). */
export function isKeptOut({ mask }: PlannedColumn): boolean {
  return mask !== null && mask.predicates !== "masked";
}

/** As isKeptOut(), of a column of a use. */
export function isKeptOutOfUse({ use, column }: BaseColumn): boolean {
  return use.columns instanceof TrackedColumns && use.columns.isKept(column);
}
