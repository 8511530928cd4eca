/** The columns that a query shows to whatever it stands in. */
import type { RelationUse } from "./collector.ts";
import type { KeptOut } from "./kept-out.ts";

export type Outputs = {
  readonly names: readonly string[];
  /** Some names are not known. */
  readonly isOpen: boolean;
  /** The relations whose rows a FOR UPDATE around the query locks. */
  readonly lockable: readonly RelationUse[];
  /** The columns behind them that policy keeps out of conditions; left out: none. */
  readonly keptOut?: KeptOut;
};

/**
 * The names after a list of column aliases. Which of the others the list replaces is not followed (joins merge columns
 * and move them): a name that is taken to be there and is not would hide what it means further out.
 */
export function renamed(
  { names, isOpen, keptOut }: Outputs,
  listed: readonly string[],
): Pick<Outputs, "names" | "isOpen" | "keptOut"> {
  if (listed.length === 0) return { names, isOpen, ...(keptOut ? { keptOut } : {}) };
  return { names: listed, isOpen: true, ...(keptOut ? { keptOut: keptOut.renamed(listed) } : {}) };
}
