/** The part of the self-check that is about relations: raw columns that must be closed, and rights that must be there. */
import { joinIdentifier } from "../describe/identifier.ts";
import { checkLine, listed, type CheckLine } from "./check-line.ts";
import type { Expected, ExpectedRelation } from "./expected.ts";
import { ORDINARY, readRelationRights, type ColumnRight, type Query, type RelationRights } from "./rights.ts";

/** One line for each relation: its masked columns, or all of it, cannot be read. */
export async function checkColumns(query: Query, { user, relations }: Expected, login: string): Promise<CheckLine[]> {
  const readable = await readableColumns(query, relations, login);
  const touchable = await rightsOnClosed(query, relations, login);
  return relations.map((relation) => {
    const name = joinIdentifier(relation.schema, relation.name);
    if (relation.closedBecause !== null) {
      const may = touchable.get(relation.oid);
      return checkLine(
        `closed ${name}`,
        `${name}: ${user} has no right to it, because ${relation.closedBecause}`,
        may === undefined ? null : `${name}: ${user} may ${may}, though ${relation.closedBecause}`,
      );
    }
    const columns = relation.columns.filter(({ isMasked }) => isMasked).map((column) => column.name);
    const found = readable.get(relation.oid);
    return checkLine(
      `columns ${name}`,
      `${name}: ${user} cannot read ${listed(columns) ?? ""}`,
      found === undefined ? null : `${name}: ${user} can read ${listed(found) ?? ""}`,
    );
  });
}

/** Names of masked columns that the login may read, by relation. */
async function readableColumns(
  query: Query,
  relations: readonly ExpectedRelation[],
  login: string,
): Promise<ReadonlyMap<number, string[]>> {
  const found = new Map<number, string[]>();
  const values = relations.flatMap(({ oid, columns, closedBecause }) => {
    const attnums = columns.filter(({ isMasked }) => isMasked).map(({ attnum }) => attnum);
    return closedBecause === null ? [`(${oid}::oid, '{${attnums.join(",")}}'::int2[])`] : [];
  });
  if (values.length === 0) return found;
  const rows = await query(`SELECT m.oid, a.attname FROM (VALUES ${values.join(", ")}) AS m (oid, attnums)
    JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum = ANY (m.attnums) AND NOT a.attisdropped
    WHERE has_column_privilege(${login}, m.oid, a.attnum, 'SELECT') ORDER BY m.oid, a.attnum`);
  for (const [oid, name] of rows) {
    const known = found.get(Number(oid));
    if (known === undefined) found.set(Number(oid), [name ?? ""]);
    else known.push(name ?? "");
  }
  return found;
}

/** What the login may do with relations that it must not mention, by relation. */
async function rightsOnClosed(
  query: Query,
  relations: readonly ExpectedRelation[],
  login: string,
): Promise<ReadonlyMap<number, string>> {
  const closed = relations.filter(({ closedBecause }) => closedBecause !== null).map(({ oid }) => oid);
  if (closed.length === 0) return new Map();
  const words = ["SELECT", "INSERT", "UPDATE"].map(
    (word) => `CASE WHEN has_any_column_privilege(${login}, c.oid, '${word}') THEN '${word}' END`,
  );
  const rows =
    await query(`SELECT c.oid, may.words FROM pg_class c CROSS JOIN LATERAL (SELECT concat_ws(', ', ${words.join(", ")},
      CASE WHEN has_table_privilege(${login}, c.oid, 'DELETE, TRUNCATE') THEN 'DELETE' END) AS words) AS may
    WHERE c.oid IN (${closed.join(", ")}) AND may.words <> ''`);
  return new Map(rows.map(([oid, may]) => [Number(oid), may ?? ""]));
}

/** On all that is not masked the governed login can do what the ordinary one can. Too little is no danger. */
export async function checkOtherRights(query: Query, { user, relations }: Expected, login: string): Promise<CheckLine> {
  const ordinary = await readRelationRights(query, ORDINARY);
  const governed = new Map((await readRelationRights(query, login)).map((rights) => [rights.oid, rights]));
  const expected = new Map(relations.map((relation) => [relation.oid, relation]));
  const poorer = ordinary.flatMap((rights) => {
    const relation = expected.get(rights.oid);
    if (relation !== undefined && relation.closedBecause !== null) return [];
    const missing = lacking(rights, governed.get(rights.oid), relation);
    return missing === "" ? [] : [`${joinIdentifier(rights.schema, rights.name)} (${missing})`];
  });
  const list = listed(poorer);
  return checkLine(
    "other rights",
    `${user} has the rights of the target's own login on all that is not masked`,
    list === null ? null : `${user} has fewer rights than the target's own login on ${list}`,
    { isVital: false },
  );
}

/** Words for what is missing; empty: nothing. */
function lacking(
  wanted: RelationRights,
  has: RelationRights | undefined,
  relation: ExpectedRelation | undefined,
): string {
  const masked = new Set(relation?.columns.filter(({ isMasked }) => isMasked).map(({ name }) => name));
  const plain = relation?.columns.filter(({ isMasked }) => !isMasked).map(({ name }) => name);
  const readable = plain === undefined || wanted.select !== "all" ? wanted.select : plain;
  const words = [
    ...without(
      "SELECT",
      readable === "all" ? readable : readable.filter((name) => !masked.has(name)),
      has?.select ?? [],
    ),
    ...without("INSERT", wanted.insert, has?.insert ?? []),
    ...without("UPDATE", wanted.update, has?.update ?? []),
    ...(wanted.delete && has?.delete !== true ? ["DELETE"] : []),
    ...(wanted.usage && has?.usage !== true ? ["USAGE"] : []),
  ];
  return wanted.isSequence
    ? words.filter((word) => word !== "INSERT" && word !== "DELETE").join(", ")
    : words.join(", ");
}

function without(word: string, wanted: ColumnRight, has: ColumnRight): string[] {
  if (has === "all") return [];
  if (wanted === "all") return [word];
  const missing = listed(wanted.filter((column) => !has.includes(column)));
  return missing === null ? [] : [`${word} of ${missing}`];
}
