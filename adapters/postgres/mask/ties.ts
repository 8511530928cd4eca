/** Columns that are shown as they are, and whose writing tells of masked ones: a constraint looks at both. */
import type { ColumnFacts, MaskFacts } from "./facts.ts";
import { columnKey } from "./lineage-scope.ts";

/**
 * The names of such columns by oid of their relation, views through which they are written among them. Whether a write
 * passes a CHECK, a foreign key or a unique index tells what stands in the masked column beside.
 */
export function tiedColumns(
  facts: MaskFacts,
  masks: ReadonlyMap<ColumnFacts, unknown>,
): ReadonlyMap<number, ReadonlySet<string>> {
  const tied = constrainedWithMasked(facts, masks);
  let before = -1;
  while (tied.size > before) {
    before = tied.size;
    for (const relation of facts.relations.values()) {
      for (const { name, attnum } of relation.columns) {
        const key = columnKey(relation.oid, attnum);
        if (!tied.has(key)) continue;
        // A child's column is written with its parent's.
        for (const oid of relation.parents) {
          const same = facts.relations.get(oid)?.columns.find((column) => column.name === name);
          if (same !== undefined) tied.add(columnKey(oid, same.attnum));
        }
      }
    }
    for (const [oid, { lineage }] of facts.views) {
      for (const [index, reads] of (lineage?.outputs ?? []).entries()) {
        const column = facts.relations.get(oid)?.columns[index];
        if (column !== undefined && [...reads].some((read) => tied.has(read))) tied.add(columnKey(oid, column.attnum));
      }
    }
  }
  const named = new Map<number, Set<string>>();
  for (const relation of facts.relations.values()) {
    const columns = relation.columns.filter(
      (column) => tied.has(columnKey(relation.oid, column.attnum)) && !masks.has(column),
    );
    if (columns.length > 0) named.set(relation.oid, new Set(columns.map(({ name }) => name)));
  }
  return named;
}

/** By columnKey(). */
function constrainedWithMasked(facts: MaskFacts, masks: ReadonlyMap<ColumnFacts, unknown>): Set<number> {
  const masked = new Set<number>();
  for (const { oid, columns } of facts.relations.values())
    for (const column of columns) if (masks.has(column)) masked.add(columnKey(oid, column.attnum));
  const tied = new Set<number>();
  for (const group of facts.constrained) {
    const all = new Set(group);
    // What the server computes is written with what it is computed from.
    for (const key of group) for (const read of facts.generated.get(key) ?? []) all.add(read);
    if ([...all].some((key) => masked.has(key))) for (const key of all) tied.add(key);
  }
  return tied;
}
