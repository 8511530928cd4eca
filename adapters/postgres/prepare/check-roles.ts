/** The part of the self-check that is about the two roles: what they are, what they belong to, what they own. */
import { MASKS_ROLE } from "../masking-settings.ts";
import { quoteText } from "../quote.ts";
import { checkLine, firstColumn, listed, type CheckLine } from "./check-line.ts";
import type { Expected } from "./expected.ts";
import { jsonNames, type Query } from "./rights.ts";

/** `login`: the governed login's oid as SQL; null: it is not there, and nothing more can be said. */
export type RolesFound = { readonly lines: readonly CheckLine[]; readonly login: string | null };

/** Attributes of both roles. */
export async function checkRoles(query: Query, { user }: Expected): Promise<RolesFound> {
  const rows = await query(`SELECT r.rolname, r.oid, concat_ws(', ',
      CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
      CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
      CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN r.rolinherit THEN 'INHERIT' END), r.rolcanlogin
    FROM pg_roles r WHERE r.rolname IN (${quoteText(user)}, '${MASKS_ROLE}')`);
  const problemOf = (role: string, mayLogIn: boolean): string | null => {
    const [, , special, canLogIn] = rows.find(([name]) => name === role) ?? [];
    if (special === undefined || special === null) return `there is no role ${role}`;
    if (special !== "") return `${role} has special attributes: ${special}`;
    return (canLogIn === "t") === mayLogIn ? null : `${role} may ${mayLogIn ? "not " : ""}log in`;
  };
  const lines = [
    checkLine("login", `${user} can log in, and has no special attributes`, problemOf(user, true)),
    checkLine("owner", `${MASKS_ROLE} cannot log in, and has no special attributes`, problemOf(MASKS_ROLE, false)),
  ];
  const oid = rows.find(([name]) => name === user)?.[1] ?? null;
  return { lines, login: oid === null ? null : `${oid}::oid` };
}

/** What the governed login belongs to, what belongs to it, and what its sessions begin with. */
export async function checkLogin(query: Query, { user, searchPath }: Expected, login: string): Promise<CheckLine[]> {
  const roles = listed(
    firstColumn(
      await query(`SELECT a.roleid::regrole::text FROM pg_auth_members a WHERE a.member = ${login} ORDER BY 1`),
    ),
  );
  const owned = listed(
    firstColumn(
      await query(`SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_shdepend d
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ${login} AND d.deptype = 'o'
          AND d.dbid IN (0, (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())) ORDER BY 1`),
    ),
  );
  return [
    checkLine(
      "memberships",
      `${user} is a member of no role`,
      roles === null ? null : `${user} is a member of ${roles}`,
    ),
    checkLine("possessions", `${user} owns nothing`, owned === null ? null : `${user} owns ${owned}`, {
      hint: "Give it to another role, or drop it.",
    }),
    await checkSettings(query, user, searchPath, login),
  ];
}

async function checkSettings(
  query: Query,
  user: string,
  searchPath: readonly string[],
  login: string,
): Promise<CheckLine> {
  const path = [...searchPath.map((schema) => `quote_ident(${quoteText(schema)})`), "'pg_temp'"].join(", ");
  const isWanted = `(s.setdatabase <> 0 AND entry = 'search_path=' || concat_ws(', ', ${path}))`;
  const [row] = await query(`SELECT json_agg(entry) FILTER (WHERE NOT ${isWanted}), count(*) FILTER (WHERE ${isWanted})
    FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS entry WHERE s.setrole = ${login}
      AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))`);
  const others = listed(jsonNames(row?.[0] ?? null));
  const problem =
    others !== null
      ? `${user} has settings that it must not have: ${others}`
      : row?.[1] === "1"
        ? null
        : `${user} has not the search_path of the configuration`;
  return checkLine("settings", `${user} has the search_path of the configuration, and no other setting`, problem);
}
