/** The part of the self-check that is about ways around the masks: functions, copies, other databases. */
import { MASKS_ROLE, MASKS_SCHEMA } from "../masking-settings.ts";
import { quoteText } from "../quote.ts";
import { checkLine, firstColumn, listed, type CheckLine } from "./check-line.ts";
import type { Expected } from "./expected.ts";
import type { Query } from "./rights.ts";

/** Functions that read with their owner's rights, and those that are declared safe. */
export async function checkFunctions(
  query: Query,
  { user, safeFunctions }: Expected,
  login: string,
): Promise<CheckLine[]> {
  const safe = safeFunctions.map((written) => `to_regprocedure(${quoteText(written)})::oid`);
  const definers = listed(
    firstColumn(
      await query(`SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.prosecdef
        AND NOT (p.pronamespace = coalesce(to_regnamespace('${MASKS_SCHEMA}')::oid, 0) AND pg_get_userbyid(p.proowner) = '${MASKS_ROLE}')
        AND p.oid <> ALL (array_remove(ARRAY[${safe.join(", ")}]::oid[], NULL))
        AND has_function_privilege(${login}, p.oid, 'EXECUTE') ORDER BY 1`),
    ),
  );
  const lines = [
    checkLine(
      "functions",
      `${user} may run no SECURITY DEFINER function that is not declared safe`,
      definers === null ? null : `${user} may run with their owners' rights (SECURITY DEFINER): ${definers}`,
      {
        hint: "Run weir targets prepare with --apply; or declare it in masking.safeFunctions, if it shows nothing masked.",
      },
    ),
  ];
  if (safe.length === 0) return lines;
  const values = safeFunctions.map((written, index) => `(${quoteText(written)}, ${safe[index] ?? "NULL"})`).join(", ");
  const missing = listed(
    firstColumn(
      await query(`SELECT w.written FROM (VALUES ${values}) AS w (written, oid)
        WHERE w.oid IS NULL OR NOT has_function_privilege(${login}, w.oid, 'EXECUTE') ORDER BY 1`),
    ),
  );
  const problem = missing === null ? null : `declared safe, but not there, or not ${user}'s to run: ${missing}`;
  lines.push(
    checkLine("safe functions", `${user} may run the functions that are declared safe`, problem, { isVital: false }),
  );
  return lines;
}

/** What copies could be put into, and ways out of the database and back. */
export async function checkCreating(query: Query, { user }: Expected, login: string): Promise<CheckLine[]> {
  const here = "pg_database d WHERE d.datname = current_database()";
  const created = listed(
    firstColumn(
      await query(`SELECT 'temporary tables' FROM ${here} AND has_database_privilege(${login}, d.oid, 'TEMPORARY')
        UNION ALL SELECT 'schemas' FROM ${here} AND has_database_privilege(${login}, d.oid, 'CREATE')
        UNION ALL (SELECT 'objects in the schema ' || n.nspname FROM pg_namespace n
          WHERE has_schema_privilege(${login}, n.oid, 'CREATE') ORDER BY n.nspname)`),
    ),
  );
  const servers = listed(
    firstColumn(
      await query(`SELECT s.srvname FROM pg_foreign_server s
        WHERE has_server_privilege(${login}, s.oid, 'USAGE') ORDER BY s.srvname`),
    ),
  );
  return [
    checkLine("creating", `${user} may create nothing`, created === null ? null : `${user} may create ${created}`),
    checkLine(
      "foreign servers",
      `${user} may use no foreign server`,
      servers === null ? null : `${user} may use the foreign servers ${servers}`,
    ),
  ];
}
