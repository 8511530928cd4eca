/** The part of the self-check that is about the gateway's own schema: views, the key of hashes, and nothing else. */
import { joinIdentifier } from "../describe/identifier.ts";
import { MASKS_ROLE, MASKS_SCHEMA } from "../masking-settings.ts";
import { quoteText } from "../quote.ts";
import { checkLine, listed, type CheckLine } from "./check-line.ts";
import { KEY_TABLE, MEMORY_TABLE, sealOf } from "./blocks.ts";
import type { Expected, ExpectedView } from "./expected.ts";
import { jsonNames, type Query } from "./rights.ts";

type Found = {
  readonly isView: boolean;
  readonly owner: string;
  readonly seal: string;
  /** Lower-case hex SHA-256 of what the server says of its query. */
  readonly definition: string;
  /** No options, triggers or rules of its own. */
  readonly isPlain: boolean;
  /** The governed login has any right on it. */
  readonly isReached: boolean;
  /** The governed login may write to it, but for single columns. */
  readonly isWritable: boolean;
  /** Columns that the governed login may update. */
  readonly updatable: readonly string[];
  /** Somebody else has any right on it. */
  readonly isOthers: boolean;
};

type Trouble = { readonly text: string; readonly isVital: boolean };

/** One line for the views of each relation, and one each for the schema, the key, and what else is there. */
export async function checkViews(query: Query, { user, relations }: Expected, login: string): Promise<CheckLine[]> {
  const objects = await readObjects(query, login);
  const lines = [await checkSchema(query, user, login)];
  for (const { schema, name, views } of relations) {
    if (views.length === 0) continue;
    const troubles = views.flatMap((view) => troubleOf(view, objects.get(view.name), user) ?? []);
    const worst = troubles.find(({ isVital }) => isVital) ?? troubles[0];
    const full = joinIdentifier(schema, name);
    lines.push(
      checkLine(
        `view ${full}`,
        `${full}: its masking view is as it was prepared`,
        worst === undefined ? null : `${full}: ${worst.text}`,
        { isVital: worst?.isVital ?? true },
      ),
    );
    for (const view of views) objects.delete(view.name);
  }
  lines.push(checkKey(objects.get(KEY_TABLE), user));
  objects.delete(KEY_TABLE);
  objects.delete(MEMORY_TABLE);
  const reached = listed([...objects].filter(([, { isReached }]) => isReached).map(([name]) => name));
  const others = listed([...objects.keys()]);
  lines.push(
    checkLine(
      "other objects",
      `nothing else is in the schema ${MASKS_SCHEMA}`,
      reached !== null
        ? `${user} has rights on what masks nothing now in the schema ${MASKS_SCHEMA}: ${reached}`
        : others !== null
          ? `not needed now in the schema ${MASKS_SCHEMA}: ${others}`
          : null,
      { isVital: reached !== null },
    ),
  );
  return lines;
}

async function readObjects(query: Query, login: string): Promise<Map<string, Found>> {
  const rows =
    await query(`SELECT c.relname, c.relkind = 'v', pg_get_userbyid(c.relowner), coalesce(obj_description(c.oid, 'pg_class'), ''),
      CASE WHEN c.relkind = 'v' THEN encode(sha256(convert_to(pg_get_viewdef(c.oid), 'UTF8')), 'hex') ELSE '' END,
      c.reloptions IS NULL AND NOT c.relhastriggers AND (SELECT count(*) FROM pg_rewrite w WHERE w.ev_class = c.oid) = (c.relkind = 'v')::int,
      has_any_column_privilege(${login}, c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(${login}, c.oid, 'DELETE, TRUNCATE'),
      has_any_column_privilege(${login}, c.oid, 'INSERT') OR has_table_privilege(${login}, c.oid, 'UPDATE, DELETE, TRUNCATE'),
      (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
        AND NOT a.attisdropped AND has_column_privilege(${login}, c.oid, a.attnum, 'UPDATE')),
      EXISTS (SELECT FROM aclexplode(c.relacl) x WHERE x.grantee NOT IN (c.relowner, ${login}))
        OR EXISTS (SELECT FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = c.oid AND x.grantee NOT IN (c.relowner, ${login}))
    FROM pg_class c WHERE c.relnamespace = to_regnamespace('${MASKS_SCHEMA}') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    ORDER BY c.relname`);
  return new Map(
    rows.map((row) => {
      const [name, isView, owner, seal, definition, isPlain, isReached, isWritable, updatable, isOthers] = row;
      const found: Found = {
        isView: isView === "t",
        owner: owner ?? "",
        seal: seal ?? "",
        definition: definition ?? "",
        isPlain: isPlain === "t",
        isReached: isReached === "t",
        isWritable: isWritable === "t",
        updatable: jsonNames(updatable ?? null),
        isOthers: isOthers === "t",
      };
      return [name ?? "", found];
    }),
  );
}

/** What is not there, or older than schema and policy, shows nothing; what was changed by hand might. */
function troubleOf(view: ExpectedView, found: Found | undefined, user: string): Trouble | null {
  const vital = (text: string): Trouble => ({ text, isVital: true });
  if (found === undefined) return { text: "its masking view is not there", isVital: false };
  if (!found.isView || found.owner !== MASKS_ROLE) return vital(`its masking view belongs to ${found.owner}`);
  const sealed = found.seal.split(" ");
  if (sealed[0] !== sealOf("", "").split(" ")[0] || sealed[2] !== found.definition) {
    return vital("its masking view was changed after it was prepared");
  }
  if (!found.isPlain) return vital("its masking view has options, triggers or rules of its own");
  const constants = new Set(view.columns.filter(({ isConstant }) => isConstant).map(({ name }) => name));
  if (found.isWritable || !found.updatable.every((name) => constants.has(name))) {
    return vital(`its masking view may be written to by ${user}`);
  }
  if (found.seal === sealOf(view.digest, found.definition)) return null;
  return { text: "its masking view was prepared for another schema or policy", isVital: false };
}

function checkKey(key: Found | undefined, user: string): CheckLine {
  let problem: string | null = null;
  if (key === undefined) problem = "the key of hashes is not there";
  else if (key.owner !== MASKS_ROLE) problem = `the key of hashes belongs to ${key.owner}`;
  else if (key.isReached) problem = `${user} has rights on the key of hashes`;
  else if (key.isOthers) problem = "others have rights on the key of hashes";
  return checkLine(
    "hash key",
    `the key of hashes belongs to ${MASKS_ROLE}, and nobody else has a right to it`,
    problem,
  );
}

async function checkSchema(query: Query, user: string, login: string): Promise<CheckLine> {
  const [row] = await query(`SELECT pg_get_userbyid(n.nspowner), has_schema_privilege(${login}, n.oid, 'USAGE')
    FROM pg_namespace n WHERE n.nspname = ${quoteText(MASKS_SCHEMA)}`);
  let problem: string | null = null;
  if (row === undefined) problem = `there is no schema ${MASKS_SCHEMA}`;
  else if (row[0] !== MASKS_ROLE) problem = `the schema ${MASKS_SCHEMA} belongs to ${row[0] ?? ""}`;
  else if (row[1] !== "t") problem = `${user} may not use the schema ${MASKS_SCHEMA}`;
  return checkLine("schema", `the schema ${MASKS_SCHEMA} belongs to ${MASKS_ROLE}, and ${user} may use it`, problem);
}
