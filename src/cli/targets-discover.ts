/** `weir targets discover`: looks through samples of a target's tables and proposes which columns to mask. */
import { databaseNameOf, settingsOf, TargetDatabase } from "../../adapters/postgres/databases.ts";
import { joinIdentifier } from "../../adapters/postgres/describe/identifier.ts";
import { ROWS_MAX, type SampledTable, sampleTables } from "../../adapters/postgres/discover/sample.ts";
import type { Config } from "../config/config.ts";
import type { Target } from "../core/target.ts";
import { messageOf } from "../core/message-of.ts";
import { contentOf, type ContentShare } from "../mask/column-content.ts";
import { nameHint } from "../mask/column-names.ts";
import { printable } from "./audit-lines.ts";
import { CommandError, CONFIG_OPTION, UsageError } from "./command.ts";
import type { Command } from "./command.ts";
import { requireConfiguration } from "./configuration.ts";
import { DATABASE_OPTION, findTarget } from "./guarded-target.ts";
import { ownersDoor } from "./owners-door.ts";

const ROWS_DEFAULT = 200;

type Proposal = {
  /** As policies name it. */
  readonly column: string;
  readonly type: string;
  /** Rows of the sample. */
  readonly rows: number;
  readonly kinds: readonly ContentShare[];
  /** What the column's name tells; null: nothing. */
  readonly name: string | null;
};

type Skipped = { readonly relation: string; readonly problem: string };

type Found = {
  readonly tables: number;
  readonly proposals: readonly Proposal[];
  readonly skipped: readonly Skipped[];
};

export const targetsDiscoverCommand: Command = {
  words: ["targets", "discover"],
  summary: "Sample a target's tables and propose which columns to mask",
  positionals: [{ name: "TARGET", description: "a PostgreSQL target", kind: "required" }],
  options: [
    CONFIG_OPTION,
    DATABASE_OPTION,
    {
      name: "sample",
      value: "N",
      description: `rows read of each table, at most ${ROWS_MAX}; ${ROWS_DEFAULT} when left out`,
    },
  ],
  notes: [
    "Reads as the target's own login, in read-only transactions, and prints no value. What it does not find may be there all the same.",
    "Views, children and generated columns are not looked at: masks follow from the tables that they derive from.",
    "",
    'JSON: {"target", "database", "tables", "columns": [{"column", "type", "rows", "kinds": [{"kind", "share"}], "name"}],',
    '"skipped": [{"relation", "problem"}], "rule"}',
  ],
  run: async (args, terminal) => {
    const config = requireConfiguration(args, terminal);
    const target = findTarget(config, args.required("TARGET"));
    const rowsMax = rowsOf(args.text("sample"));
    const asked = args.text("database");
    const database = databaseOf(target, asked);
    const found = await discover(config, target, database, rowsMax, (name) => terminal.progress(name));
    terminal.progress("");
    const rule =
      found.proposals.length === 0 ? null : ruleOf(target, asked === undefined ? null : database, found.proposals);
    if (args.isJson) {
      const { tables, proposals, skipped } = found;
      terminal.out(JSON.stringify({ target: target.name, database, tables, columns: proposals, skipped, rule }));
      return 0;
    }
    for (const line of linesOf(found)) terminal.out(printable(line));
    if (rule !== null) {
      terminal.out("");
      for (const line of rule.trimEnd().split("\n")) terminal.out(printable(line));
    }
    return 0;
  },
};

function rowsOf(written: string | undefined): number {
  const rows = Number(written ?? ROWS_DEFAULT);
  if (Number.isInteger(rows) && rows >= 1 && rows <= ROWS_MAX) return rows;
  throw new UsageError(`--sample is a whole number from 1 to ${ROWS_MAX}`);
}

function databaseOf(target: Target, asked: string | undefined): string {
  if (target.adapter !== "postgres") throw new CommandError(`${target.name} is not a PostgreSQL target`);
  const database = databaseNameOf(settingsOf(target), asked ?? null);
  if (database !== null) return database;
  throw new UsageError(
    `the target ${target.name} has no database ${asked ?? ""}`,
    "Its `databases` in the configuration lists them.",
  );
}

async function discover(
  config: Config,
  target: Target,
  name: string,
  rowsMax: number,
  progress: (table: string) => void,
): Promise<Found> {
  const door = ownersDoor(config, "weir targets discover");
  const database = new TargetDatabase(door, target, settingsOf(target), name, { now: () => Date.now() }, 0);
  const proposals: Proposal[] = [];
  const skipped: Skipped[] = [];
  let tables = 0;
  try {
    const connection = await database.openConnection();
    try {
      for await (const table of sampleTables((sql) => connection.query(sql), rowsMax)) {
        const relation = joinIdentifier(table.schema, table.name);
        progress(relation);
        tables++;
        if (table.problem !== null) skipped.push({ relation, problem: table.problem });
        proposals.push(...proposalsOf(table));
      }
    } finally {
      connection.close();
    }
  } catch (error) {
    throw new CommandError(`${target.name}, database ${name}: ${messageOf(error)}`);
  } finally {
    database.stop();
  }
  return { tables, proposals, skipped };
}

function proposalsOf({ schema, name, columns, rows }: SampledTable): readonly Proposal[] {
  return columns.flatMap((column) => {
    const kinds = contentOf(column.values ?? []);
    const hint = nameHint(column.name);
    if (kinds.length === 0 && hint === null) return [];
    return [
      { column: joinIdentifier(schema, name, column.name), type: column.type, rows, kinds, name: hint?.about ?? null },
    ];
  });
}

function linesOf({ tables, proposals, skipped }: Found): readonly string[] {
  const lines = proposals.map((each) => `${each.column} (${each.type}): ${reasonsOf(each).join(", ")}`);
  const notes = skipped.map(({ relation, problem }) => `${relation}: not read: ${problem}`);
  const sum = `${tables} ${tables === 1 ? "table" : "tables"}, ${proposals.length} columns to mask by what was found`;
  return [...lines, ...notes, sum];
}

function reasonsOf({ kinds, name, rows }: Proposal): readonly string[] {
  const found = kinds.map(({ kind, share }) => `${kind} in ${percent(share)} of the values`);
  if (name === null) return found;
  return [...found, found.length > 0 ? `the name says ${name}` : `by its name: ${name} (${rows} rows read)`];
}

function percent(share: number): string {
  return share < 0.01 ? "under 1%" : `${Math.round(100 * share)}%`;
}

/** A file of guards, ready to be looked through and saved. */
function ruleOf(target: Target, database: string | null, proposals: readonly Proposal[]): string {
  return [
    `# guards/${target.name}-discovered.yaml: proposed by weir targets discover; look it through before you save it.`,
    "apiVersion: weir.dev/v1",
    "kind: Guards",
    "rules:",
    `  - id: ${target.name}-discovered`,
    `    target: { names: [${target.name}] }`,
    "    action:",
    "      postgres:",
    ...(database === null ? [] : [`        databases: [${JSON.stringify(database)}]`]),
    "        columns:",
    ...proposals.map((each) => `          - ${JSON.stringify(each.column)} # ${reasonsOf(each).join(", ")}`),
    "    oblige:",
    "      mask: [{ with: redact }]",
    "",
  ].join("\n");
}
