/** The functions by which a guarded database compares masked columns (`predicates: equality`), as the script makes and the self-check finds them. */
import { createHash } from "node:crypto";
import { comparedType, comparisonFunction, isValue } from "../mask/comparison.ts";
import type { ColumnFacts } from "../mask/facts.ts";
import { comparisonName } from "../mask/view-names.ts";
import { MASKS_ROLE, MASKS_SCHEMA } from "../masking-settings.ts";
import { quoteText } from "../quote.ts";
import { checkLine, listed, type CheckLine } from "./check-line.ts";
import { block, sealOf } from "./blocks.ts";
import type { Expected, ExpectedRelation } from "./expected.ts";
import type { ColumnRight, Query } from "./rights.ts";

/** A function in MASKS_SCHEMA that shows the rows of a masking view whose raw column has a value. */
export type ExpectedComparison = {
  readonly name: string;
  /** The statement that makes it. */
  readonly sql: string;
  /** Lower-case hex SHA-256 of `sql`. */
  readonly digest: string;
};

/** How many rows the server's planner expects of one: few have a value that is worth masking. */
const ROWS_EXPECTED = 10;

/** The function that compares `column` and shows what `view` does; null: values of its type are not compared. */
export function expectedComparison(
  schema: string,
  relation: string,
  column: ColumnFacts,
  view: { readonly name: string; readonly sql: string },
  only: boolean,
): ExpectedComparison | null {
  const type = comparedType(column.type);
  if (type === null) return null;
  const name = comparisonName(schema, relation, column.name, only);
  // A body that is parsed when it is made depends on no search_path, and on what it reads.
  const sql = `CREATE FUNCTION ${comparisonFunction(name)}(${type.sql}) RETURNS SETOF ${comparisonFunction(view.name)}
LANGUAGE sql STABLE SECURITY DEFINER ROWS ${ROWS_EXPECTED} SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
${view.sql}
WHERE ${isValue(column.name, 1)};
END;`;
  return { name, sql, digest: createHash("sha256").update(sql).digest("hex") };
}

/** Of the function `p`, as the script and the self-check compute it. */
const DEFINITION_DIGEST = "encode(sha256(convert_to(pg_get_functiondef(p.oid), 'UTF8')), 'hex')";
const OWN_FUNCTIONS = `pg_proc p WHERE p.pronamespace = to_regnamespace('${MASKS_SCHEMA}')`;

/** SQL for one relation; a function shows whole rows, so it is nobody's who may not read all of its columns. */
export function makeComparisons(relation: ExpectedRelation, readable: ColumnRight, login: string): string {
  const isWhole = readable === "all" || relation.columns.every(({ name }) => readable.includes(name));
  if (!isWhole) return "";
  return relation.comparisons
    .map(({ name, sql }) => {
      const made = comparisonFunction(name);
      return `${sql}
ALTER FUNCTION ${made} OWNER TO ${MASKS_ROLE};
REVOKE ALL ON FUNCTION ${made} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ${made} TO ${login};`;
    })
    .join("\n");
}

/** Writes beside each function what it was made from and what the server made of it; takes it from everybody else. */
export function sealComparisons(comparisons: readonly ExpectedComparison[], user: string): string {
  if (comparisons.length === 0) return "";
  const rows = comparisons.map(({ name, digest }) => `    (${quoteText(name)}, ${quoteText(sealOf(digest, ""))})`);
  return block(`
DECLARE
  item record;
BEGIN
  FOR item IN SELECT p.proname, x.grantee FROM pg_proc p, aclexplode(p.proacl) x
    WHERE p.pronamespace = '${MASKS_SCHEMA}'::regnamespace AND x.grantee <> 0
      AND pg_get_userbyid(x.grantee) NOT IN ('${MASKS_ROLE}', ${quoteText(user)}) LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION ${MASKS_SCHEMA}.%I FROM %I', item.proname, pg_get_userbyid(item.grantee));
  END LOOP;
  FOR item IN SELECT w.name, w.seal || ${DEFINITION_DIGEST} AS seal FROM (VALUES
${rows.join(",\n")}
  ) AS w (name, seal) JOIN pg_proc p ON p.proname = w.name AND p.pronamespace = '${MASKS_SCHEMA}'::regnamespace
  LOOP
    EXECUTE format('COMMENT ON FUNCTION ${MASKS_SCHEMA}.%I IS %L', item.name, item.seal);
  END LOOP;
END`);
}

type Found = {
  readonly owner: string;
  readonly seal: string;
  /** Lower-case hex SHA-256 of what the server says of it: its body, its rights and its settings. */
  readonly definition: string;
  readonly isReached: boolean;
  /** Somebody else may run it. */
  readonly isOthers: boolean;
  /** There is another function of its name. */
  readonly isOverloaded: boolean;
};

/** One line for the functions of each relation that has some, and one for what else is there. */
export async function checkComparisons(
  query: Query,
  { user, relations }: Expected,
  login: string,
): Promise<CheckLine[]> {
  const found = await readFunctions(query, login);
  const partly = await partlyReadable(query, relations);
  const lines: CheckLine[] = [];
  for (const { oid, schema, name, comparisons } of relations) {
    if (comparisons.length === 0) continue;
    const full = `${schema}.${name}`;
    const troubles = comparisons.flatMap((each) => {
      const trouble = troubleOf(each, found.get(each.name), user, partly.has(oid));
      found.delete(each.name);
      return trouble ?? [];
    });
    const worst = troubles.find(({ isVital }) => isVital) ?? troubles[0];
    lines.push(
      checkLine(
        `comparisons ${full}`,
        partly.has(oid)
          ? `${full}: nothing is compared, since the target's own login may not read all of its columns`
          : `${full}: its functions of equality are as they were prepared`,
        worst === undefined ? null : `${full}: ${worst.text}`,
        { isVital: worst?.isVital ?? true },
      ),
    );
  }
  lines.push(...otherFunctions(found, user));
  return lines;
}

type Trouble = { readonly text: string; readonly isVital: boolean };

/** What is not there, or older than schema and policy, finds nothing; what was changed by hand might show anything. */
function troubleOf(
  wanted: ExpectedComparison,
  found: Found | undefined,
  user: string,
  isPartly: boolean,
): Trouble | null {
  if (found === undefined) return isPartly ? null : { text: "a function of equality is not there", isVital: false };
  const changed = whyChanged(found);
  if (changed !== null) return { text: `a function of equality ${changed}`, isVital: true };
  if (isPartly && found.isReached) {
    return {
      text: `a function of equality shows ${user} columns that the target's own login may not read`,
      isVital: true,
    };
  }
  if (found.seal !== sealOf(wanted.digest, found.definition)) {
    return { text: "a function of equality was prepared for another schema or policy", isVital: false };
  }
  return found.isReached ? null : { text: `${user} may not run a function of equality`, isVital: false };
}

/** As the end of a sentence; null: it is one that was prepared, though perhaps for another policy. */
function whyChanged({ owner, seal, definition, isOthers, isOverloaded }: Found): string | null {
  if (owner !== MASKS_ROLE) return `belongs to ${owner}`;
  const [mark, , made] = seal.split(" ");
  if (mark !== sealOf("", "").split(" ")[0] || made !== definition) return "was changed after it was prepared";
  if (isOverloaded) return "has another one of its name beside it";
  return isOthers ? "may be run by others" : null;
}

/** A policy that has taken `equality` back leaves functions that no statement reaches until the database is prepared again. */
function otherFunctions(found: ReadonlyMap<string, Found>, user: string): CheckLine[] {
  if (found.size === 0) return [];
  const strange = [...found].filter(([, each]) => each.isReached && whyChanged(each) !== null).map(([name]) => name);
  const reached = listed(strange);
  return [
    checkLine(
      "other comparisons",
      "",
      reached === null
        ? `not needed now in the schema ${MASKS_SCHEMA}: ${listed([...found.keys()]) ?? ""}`
        : `${user} may run what was not prepared in the schema ${MASKS_SCHEMA}: ${reached}`,
      { isVital: reached !== null },
    ),
  ];
}

async function readFunctions(query: Query, login: string): Promise<Map<string, Found>> {
  const rows =
    await query(`SELECT p.proname, pg_get_userbyid(p.proowner), coalesce(obj_description(p.oid, 'pg_proc'), ''),
      CASE WHEN p.prokind IN ('f', 'p') THEN ${DEFINITION_DIGEST} ELSE '' END, has_function_privilege(${login}, p.oid, 'EXECUTE'),
      EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x WHERE x.grantee NOT IN (p.proowner, ${login})),
      (SELECT count(*) > 1 FROM pg_proc o WHERE o.pronamespace = p.pronamespace AND o.proname = p.proname)
    FROM ${OWN_FUNCTIONS} ORDER BY p.proname`);
  return new Map(
    rows.map(([name, owner, seal, definition, isReached, isOthers, isOverloaded]) => [
      name ?? "",
      {
        owner: owner ?? "",
        seal: seal ?? "",
        definition: definition ?? "",
        isReached: isReached === "t",
        isOthers: isOthers === "t",
        isOverloaded: isOverloaded === "t",
      },
    ]),
  );
}

/** Relations of which whoever asks, the target's own login, may not read every column. */
async function partlyReadable(query: Query, relations: readonly ExpectedRelation[]): Promise<ReadonlySet<number>> {
  const compared = relations.filter(({ comparisons }) => comparisons.length > 0).map(({ oid }) => oid);
  if (compared.length === 0) return new Set();
  const rows = await query(`SELECT DISTINCT a.attrelid FROM pg_attribute a
    WHERE a.attrelid IN (${compared.join(", ")}) AND a.attnum > 0 AND NOT a.attisdropped
      AND NOT has_column_privilege(a.attrelid, a.attnum, 'SELECT')`);
  return new Set(rows.map(([oid]) => Number(oid)));
}
