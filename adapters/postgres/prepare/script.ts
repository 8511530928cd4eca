/** Writes the scripts for a database's administrator: the one that prepares guarded mode, and the one that undoes it. */
import { READABLE_SYSTEM_COLUMNS } from "../describe/scope.ts";
import { MASKS_ROLE, MASKS_SCHEMA } from "../masking-settings.ts";
import { quoteIdentifier, quoteQualified, quoteText } from "../quote.ts";
import {
  begin,
  closeSchema,
  dropAll,
  makeRoles,
  giveBackRole,
  makeSchema,
  makeView,
  reset,
  sealViews,
  takeFromPublic,
  takeRole,
} from "./blocks.ts";
import { makeComparisons, sealComparisons } from "./comparisons.ts";
import type { Expected, ExpectedRelation } from "./expected.ts";
import type { ColumnRight, RelationRights, Rights } from "./rights.ts";

/** What has them. */
const HAVE_SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["table", "partitioned table", "foreign table"]);
/** How many relations one GRANT names, so that a line of the script can be read. */
const NAMES_PER_GRANT_MAX = 50;

/**
 * One transaction that ends in the same state whatever was prepared before. `passwordVerifier`: the SCRAM verifier of
 * the governed login's password; null: the administrator sets it, or it has none.
 */
export function prepareScript(expected: Expected, rights: Rights, passwordVerifier: string | null): string {
  const { user, database, relations } = expected;
  const login = quoteIdentifier(user);
  const open = relations.filter(({ closedBecause }) => closedBecause === null);
  const wanted = open.flatMap((relation) => relation.views);
  const safe = rights.functions.flatMap(({ sql }) => sql ?? []);
  const sections: (readonly [comment: string, sql: string])[] = [
    ["", begin(database)],
    [
      "Two roles: the owner of the masking views, whom nobody logs in as, and the login of governed sessions.",
      makeRoles(user),
    ],
    ["", takeRole()],
    ["What earlier runs have given is taken back first.", reset(user, wanted)],
    ["", makeSchema()],
    [
      "The owner of the views reads the relations. UPDATE of one column is what row locks (FOR UPDATE) ask for.",
      ownersRights(open),
    ],
    [
      "The views. They need no security_barrier: they leave out no rows, and each of their columns may be seen by whoever reads them.",
      views(open),
    ],
    [
      `The login. Its rights are those of ${oneLine(rights.user)}, but for what is masked.`,
      loginRights(expected, rights),
    ],
    [`What is masked: the other columns, and the views.`, maskedRights(open, rights, login)],
    [
      "Masked columns that policy lets be compared: each function shows the rows of its view that have one value.",
      comparisons(open, rights, login),
    ],
    [
      "What everybody may do the login may do too: so it is taken from PUBLIC and given to each role that would lose it.",
      takeFromPublic(
        user,
        {
          masked: open.map(({ oid }) => oid),
          closed: relations.filter(({ closedBecause }) => closedBecause !== null).map(({ oid }) => oid),
        },
        safe,
      ),
    ],
    ["Nobody else has anything to do with the views.", closeSchema(user)],
    ["The self-check compares the views with what is noted here.", sealViews(wanted)],
    [
      "",
      sealComparisons(
        open.flatMap((relation) => relation.comparisons),
        user,
      ),
    ],
    passwordVerifier === null
      ? [
          "The login's password is yours to set, to what weir.yaml has as masking.password:",
          `--   \\password ${oneLine(login)}`,
        ]
      : ["", `ALTER ROLE ${login} PASSWORD ${quoteText(passwordVerifier)};`],
    ["", giveBackRole()],
    ["", "COMMIT;"],
  ];
  const title = `Guarded masking of the database ${oneLine(database)} for weir.
Run it as a superuser, or as a role that owns what it names and may make roles: psql -v ON_ERROR_STOP=1 -f FILE
It is one transaction and may be run again, after changes of policy and schema for instance.`;
  return `${comment(title)}\n\n${sections
    .filter(([, sql]) => sql !== "")
    .map(([text, sql]) => (text === "" ? sql : `${comment(text)}\n${sql}`))
    .join("\n\n")}\n`;
}

/** One transaction that leaves the database as it was before it was prepared. */
export function removeScript({ user, database }: Pick<Expected, "user" | "database">): string {
  const title = `Undoes the guarded masking of the database ${oneLine(database)}.
Run it as the role that prepared it: psql -v ON_ERROR_STOP=1 -f FILE`;
  const blocks = [begin(database), takeRole(), reset(user, []), dropAll(user), giveBackRole(), "COMMIT;"];
  return `${comment(title)}\n\n${blocks.join("\n\n")}\n`;
}

function ownersRights(relations: readonly ExpectedRelation[]): string {
  return relations
    .map((relation) => {
      const name = quoteQualified(relation.schema, relation.name);
      const [first] = relation.columns;
      const locks =
        relation.kind === "materialized view" || first === undefined ? "" : `, UPDATE (${quoteIdentifier(first.name)})`;
      return `GRANT SELECT${locks} ON ${name} TO ${MASKS_ROLE};`;
    })
    .join("\n");
}

function views(relations: readonly ExpectedRelation[]): string {
  return relations
    .flatMap((relation) => relation.views)
    .map(({ name, sql }) => makeView(name, sql))
    .join("\n");
}

function comparisons(relations: readonly ExpectedRelation[], rights: Rights, login: string): string {
  const readable = new Map(rights.relations.map(({ oid, select }) => [oid, select]));
  return relations
    .map((relation) => makeComparisons(relation, readable.get(relation.oid) ?? [], login))
    .filter((sql) => sql !== "")
    .join("\n");
}

function loginRights({ user, database, searchPath, relations }: Expected, rights: Rights): string {
  const login = quoteIdentifier(user);
  const known = new Set(relations.map(({ oid }) => oid));
  const path = [...searchPath.map(quoteIdentifier), "pg_temp"].join(", ");
  const lines = [
    `GRANT CONNECT ON DATABASE ${quoteIdentifier(database)} TO ${login};`,
    `ALTER ROLE ${login} IN DATABASE ${quoteIdentifier(database)} SET search_path = ${path};`,
    ...rights.schemas.map((schema) => `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO ${login};`),
    `GRANT USAGE ON SCHEMA ${MASKS_SCHEMA} TO ${login};`,
  ];
  const grouped = new Map<string, string[]>();
  for (const relation of rights.relations) {
    if (known.has(relation.oid)) continue;
    const key = `${privileges(relation).join(", ")} ON ${relation.isSequence ? "SEQUENCE" : "TABLE"}`;
    const names = grouped.get(key) ?? [];
    names.push(quoteQualified(relation.schema, relation.name));
    grouped.set(key, names);
  }
  for (const [what, names] of grouped) {
    for (let at = 0; at < names.length; at += NAMES_PER_GRANT_MAX) {
      const some = names.slice(at, at + NAMES_PER_GRANT_MAX);
      lines.push(`GRANT ${what}\n  ${some.join(",\n  ")}\n  TO ${login};`);
    }
  }
  for (const { written, sql } of rights.functions) {
    lines.push(
      sql === null
        ? `-- Declared safe, and not in this database: ${oneLine(written)}`
        : `GRANT EXECUTE ON ROUTINE ${sql} TO ${login};`,
    );
  }
  return lines.join("\n");
}

/** What the ordinary login may do with a relation or a sequence, in words of GRANT. */
function privileges(rights: RelationRights): string[] {
  if (rights.isSequence) {
    return [
      ...(rights.usage ? ["USAGE"] : []),
      ...(rights.select === "all" ? ["SELECT"] : []),
      ...(rights.update === "all" ? ["UPDATE"] : []),
    ];
  }
  return [...privilege("SELECT", rights.select), ...writing(rights)];
}

function writing(rights: RelationRights): string[] {
  return [
    ...privilege("INSERT", rights.insert),
    ...privilege("UPDATE", rights.update),
    ...(rights.delete ? ["DELETE"] : []),
  ];
}

function privilege(word: string, right: ColumnRight): string[] {
  if (right === "all") return [word];
  return right.length === 0 ? [] : [`${word} (${right.map(quoteIdentifier).join(", ")})`];
}

function maskedRights(relations: readonly ExpectedRelation[], { relations: rights }: Rights, login: string): string {
  const byOid = new Map(rights.map((each) => [each.oid, each]));
  const lines: string[] = [];
  for (const relation of relations) {
    const may = byOid.get(relation.oid);
    if (may === undefined) continue;
    const isReadable = (column: string): boolean => may.select === "all" || may.select.includes(column);
    const shown = relation.columns
      .filter(({ name, isMasked }) => !isMasked && isReadable(name))
      .map(({ name }) => name);
    const system = may.select === "all" && HAVE_SYSTEM_COLUMNS.has(relation.kind) ? READABLE_SYSTEM_COLUMNS : [];
    const granted = [...privilege("SELECT", [...system, ...shown]), ...writing(may)];
    if (granted.length > 0) {
      lines.push(`GRANT ${granted.join(", ")} ON ${quoteQualified(relation.schema, relation.name)} TO ${login};`);
    }
    const mayLock = relation.kind !== "materialized view" && (may.update === "all" || may.update.length > 0);
    for (const view of relation.views) {
      const seen = view.columns.filter(({ of }) => isReadable(of)).map(({ name }) => name);
      const locked = view.columns.find(({ isConstant }) => isConstant);
      const onView = [
        ...(seen.length === view.columns.length ? ["SELECT"] : privilege("SELECT", seen)),
        // Asked for by row locks. Through a constant nothing can be written.
        ...(mayLock && locked !== undefined ? [`UPDATE (${quoteIdentifier(locked.name)})`] : []),
      ];
      if (seen.length > 0)
        lines.push(`GRANT ${onView.join(", ")} ON ${quoteQualified(MASKS_SCHEMA, view.name)} TO ${login};`);
    }
  }
  return lines.join("\n");
}

function comment(text: string): string {
  return text
    .split("\n")
    .map((line) => `-- ${line}`)
    .join("\n");
}

/** A name in a comment must not end it. */
function oneLine(text: string): string {
  return text.replaceAll("\r", " ").replaceAll("\n", " ");
}
