/** The columns of a masked relation as SQL lists them, with a mask in the place of each that has one. */
import { quoteIdentifier } from "../quote.ts";
import type { MaskedRelation } from "./plan.ts";

/** The columns of a masked relation as a list of outputs under their own names; `mask` says what stands for a masked one. */
export function outputList(
  relation: MaskedRelation,
  qualifier: string | null,
  mask: "constant" | "expression",
  names: readonly string[] | null = null,
): string {
  const prefix = qualifier === null ? "" : `${quoteIdentifier(qualifier)}.`;
  const listed = names === null ? relation.columns : names.flatMap((name) => columnNamed(relation, name));
  return listed
    .map(({ name, mask: hidden }) => {
      const own = quoteIdentifier(name);
      return hidden === null ? `${prefix}${own}` : `${hidden[mask]} AS ${own}`;
    })
    .join(", ");
}

export function columnNamed(relation: MaskedRelation, name: string): MaskedRelation["columns"] {
  return relation.columns.filter((column) => column.name === name);
}
