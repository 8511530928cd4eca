/** The columns that a query shows to whatever it stands in. */
import type { RelationUse } from "./collector.ts";

export type Outputs = {
  readonly names: readonly string[];
  /** Some names are not known. */
  readonly isOpen: boolean;
  /** The relations whose rows a FOR UPDATE around the query locks. */
  readonly lockable: readonly RelationUse[];
};

export const NO_OUTPUTS: Outputs = { names: [], isOpen: true, lockable: [] };

/**
 * The names after a list of column aliases. Which of the others the list replaces is not followed (joins merge columns
 * and move them): a name that is taken to be there and is not would hide what it means further out.
 */
export function renamed({ names, isOpen }: Outputs, listed: readonly string[]): Pick<Outputs, "names" | "isOpen"> {
  return listed.length === 0 ? { names, isOpen } : { names: listed, isOpen: true };
}
