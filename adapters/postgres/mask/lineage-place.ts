/** Where definitions are read: what is in sight, what decides the rows of the query, and how deep it is nested. */
import { NotUnderstood } from "../describe/tree.ts";
import { type Level, NO_READS, type Reads, type Shown, union } from "./lineage-scope.ts";

/** Deeper trees are refused, so that walking them cannot exhaust the stack. */
const DEPTH_MAX = 500;
/** Queries that refer to themselves are read more than once, and those inside them each time: a second's work at most. */
const STEPS_MAX = 500_000;

/** The columns of a query, in order. */
export type Outputs = readonly Shown[];

/** The named queries of WITH clauses, inner before outer. `isOpen`: what it shows is not known yet. */
export type Tables = {
  readonly columns: Map<string, { readonly shown: Outputs; readonly isOpen: boolean }>;
  readonly parent: Tables | null;
};

/** Where an expression or a query stands. `gates` are those of the query it belongs to. */
export type Place = { readonly level: Level; readonly tables: Tables | null; readonly gates: Gates };

/** Stored columns that decide which rows a query has, and in which order. Grows while the query is read. */
export class Gates {
  reads: Reads = NO_READS;

  add(...reads: readonly Reads[]): void {
    this.reads = union([this.reads, ...reads]);
  }
}

/** How deep the reading of one definition is nested, and how long it has taken. */
export class Nesting {
  #depth = 0;
  #steps = 0;

  /** One more level. */
  in<T>(read: () => T): T {
    if (++this.#steps > STEPS_MAX) throw new NotUnderstood("it takes too long to be read");
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood(`it is nested more than ${DEPTH_MAX} deep`);
    const result = read();
    this.#depth--;
    return result;
  }
}

/** A relation as the reader of definitions needs it. */
export type ReadableRelation = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly attnum: number }[];
};

export type LineageNames = {
  relation(schema: string, name: string): ReadableRelation | undefined;
  /** Some function of this name returns a set, so that what it is given decides how many rows there are. */
  returnsSet(functionName: string): boolean;
};
