/** The demo's tour: statements that an ordinary client sends through the gateway, with what came of them. */
import { SQL } from "bun";
import { LogReader } from "../../audit/query.ts";
import type { LogEntry } from "../../audit/query.ts";

/** Who the demo makes tokens for; the groups are those of the example policies. */
export const PEOPLE = [
  { subject: "shop-agent", kind: "agent", groups: ["agents"], owner: "dana", title: "the agent shop-agent" },
  { subject: "dana", kind: "human", groups: ["dba"], owner: null, title: "the DBA dana" },
] as const;
export type Person = (typeof PEOPLE)[number]["subject"];

type Stop = {
  readonly subject: Person;
  readonly title: string;
  readonly sql: string;
  /** By the example policies. */
  readonly isRefused: boolean;
};

const STOPS: readonly Stop[] = [
  {
    subject: "shop-agent",
    title: "The agent asks what sells best",
    sql: `SELECT p.name, sum(o.quantity) AS sold
  FROM orders o JOIN products p ON p.id = o.product_id
 GROUP BY p.name ORDER BY sold DESC, p.name LIMIT 3`,
    isRefused: false,
  },
  {
    subject: "shop-agent",
    title: "The agent asks for customers' e-mail addresses",
    sql: "SELECT name, email FROM customers LIMIT 3",
    isRefused: true,
  },
  {
    subject: "shop-agent",
    title: "The agent forgets a WHERE",
    sql: "DELETE FROM orders",
    isRefused: true,
  },
  {
    subject: "dana",
    title: "The DBA looks up an address",
    sql: "SELECT name, email FROM customers ORDER BY id LIMIT 2",
    isRefused: false,
  },
];

type Cell = string | number | boolean | null;

/** What the client got: rows, or an error with PostgreSQL's fields. */
export type Reply =
  | { readonly rows: readonly Row[] }
  | { readonly error: Readonly<Record<"code" | "message" | "detail" | "hint", string>> };
export type Row = Readonly<Record<string, Cell>>;

/** `isRefused`: what the example policies mean to happen. */
export type Visit = Stop & { readonly reply: Reply };

/** How to reach the gateway's target. */
export type Access = {
  readonly host: string;
  readonly port: number;
  readonly target: string;
  /** PEM: the certificate that the gateway must show. */
  readonly ca: string;
};

/** Goes through all stops, each with a session of its own. */
export async function* takeTour(access: Access, tokens: Readonly<Record<Person, string>>): AsyncGenerator<Visit> {
  for (const stop of STOPS) {
    yield { ...stop, reply: await send(access, stop.subject, tokens[stop.subject], stop.sql) };
  }
}

async function send(access: Access, username: string, password: string, text: string): Promise<Reply> {
  const { host, port, target, ca } = access;
  const sql = new SQL({
    adapter: "postgres",
    hostname: host,
    port,
    database: target,
    username,
    password,
    tls: { ca, rejectUnauthorized: true },
    max: 1,
  });
  try {
    const rows: unknown = await sql.unsafe(text).simple();
    return { rows: Array.isArray(rows) ? rows.map(readRow) : [] };
  } catch (error) {
    if (error instanceof SQL.PostgresError && error.errno !== undefined) {
      const { errno, message, detail, hint } = error;
      return { error: { code: errno, message, detail: detail ?? "", hint: hint ?? "" } };
    }
    throw error;
  } finally {
    await sql.close();
  }
}

function readRow(row: unknown): Row {
  if (typeof row !== "object" || row === null) return {};
  return Object.fromEntries(Object.entries(row).map(([name, value]): [string, Cell] => [name, readCell(value)]));
}

function readCell(value: unknown): Cell {
  if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  return typeof value === "string" ? value : JSON.stringify(value);
}

const OUTCOMES_TIME_MS_MAX = 10_000;

/**
 * The log's entries about so many statements of clients, from an entry on, or about the sessions that were refused
 * instead: each with what became of it, which may be recorded a moment after the client has its answer.
 */
export async function recordOf(dataFolder: string, from: number, statements: number): Promise<LogEntry[]> {
  const log = LogReader.open(dataFolder);
  try {
    const found: LogEntry[] = [];
    const open = new Set<string | null>();
    let seen = 0;
    for await (const entry of log.follow(from, {}, AbortSignal.timeout(OUTCOMES_TIME_MS_MAX))) {
      const { leaf } = entry;
      if (leaf.shape === "intent" && leaf.operation.kind === "query" && leaf.decision.kind !== "house") {
        found.push(entry);
        seen++;
        if (leaf.outcome === undefined) open.add(leaf.id);
      } else if (leaf.shape === "outcome" && open.delete(leaf.id)) {
        found.push(entry);
      } else if (leaf.shape === "event" && leaf.event === "session.refused") {
        found.push(entry);
        seen++;
      }
      if (seen === statements && open.size === 0) return found;
    }
  } finally {
    log.close();
  }
  throw new Error("the log does not hold what the tour did");
}

/** How many entries the log has now. */
export async function logSize(dataFolder: string): Promise<number> {
  const log = LogReader.open(dataFolder);
  try {
    return await log.size();
  } finally {
    log.close();
  }
}
