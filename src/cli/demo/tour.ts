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

/** The same database masked in both ways: the demo has prepared it for the first target. */
export const TARGETS = ["shop", "shop-trial"] as const;

type Stop = {
  readonly subject: Person;
  readonly target: (typeof TARGETS)[number];
  readonly title: string;
  readonly sql: string;
  /** By the example policies; with PostgreSQL's own errors among it. */
  readonly isRefused: boolean;
};

const STOPS: readonly Stop[] = [
  {
    subject: "shop-agent",
    target: "shop",
    title: "The agent asks what sells best",
    sql: `SELECT p.name, sum(o.quantity) AS sold
  FROM orders o JOIN products p ON p.id = o.product_id
 GROUP BY p.name ORDER BY sold DESC, p.name LIMIT 3`,
    isRefused: false,
  },
  {
    subject: "shop-agent",
    target: "shop",
    title: "The agent reads customers: what is personal is masked",
    sql: "SELECT name, email, phone FROM customers ORDER BY id LIMIT 2",
    isRefused: false,
  },
  {
    subject: "shop-agent",
    target: "shop",
    title: "The agent wants an error to tell the address: it tells the mask",
    // Of a hash that begins with ten digits, as some do, int would say that it is out of range.
    sql: "SELECT email::uuid FROM customers WHERE id = 1",
    isRefused: true,
  },
  {
    subject: "shop-agent",
    target: "shop",
    title: "The agent tries a function that reads tables by itself",
    sql: "SELECT query_to_xml('SELECT email FROM customers', true, true, '')",
    isRefused: true,
  },
  {
    subject: "shop-agent",
    target: "shop-trial",
    title: "The same database where nothing was prepared, masked inline (weaker, for trial)",
    sql: "SELECT to_jsonb(c) AS customer FROM customers c WHERE id = 1",
    isRefused: false,
  },
  {
    subject: "shop-agent",
    target: "shop",
    title: "The agent forgets a WHERE",
    sql: "DELETE FROM orders",
    isRefused: true,
  },
  {
    subject: "dana",
    target: "shop",
    title: "The DBA looks up an address",
    sql: "SELECT name, email, phone FROM customers ORDER BY id LIMIT 2",
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

/** How to reach the gateway. */
export type Access = {
  readonly host: string;
  readonly port: number;
  /** PEM: the certificate that the gateway must show. */
  readonly ca: string;
};

/** Goes through all stops, each with a session of its own. */
export async function* takeTour(access: Access, tokens: Readonly<Record<Person, string>>): AsyncGenerator<Visit> {
  for (const stop of STOPS) {
    yield { ...stop, reply: await send(access, stop, tokens[stop.subject]) };
  }
}

async function send({ host, port, ca }: Access, stop: Stop, password: string): Promise<Reply> {
  const sql = new SQL({
    adapter: "postgres",
    hostname: host,
    port,
    database: stop.target,
    username: stop.subject,
    password,
    tls: { ca, rejectUnauthorized: true },
    max: 1,
  });
  try {
    const rows: unknown = await sql.unsafe(stop.sql).simple();
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

/** What the tour's stops are in the log. */
const VISITS: ReadonlySet<string> = new Set(["query", "exec", "shell"]);
const OUTCOMES_TIME_MS_MAX = 10_000;

/**
 * The log's entries about so many statements and commands of clients, from an entry on, or about the sessions that were refused
 * instead: each with what became of it, which may be recorded a moment after the client has its answer.
 */
export async function recordOf(dataFolder: string, from: number, visits: number): Promise<LogEntry[]> {
  const log = LogReader.open(dataFolder);
  try {
    const found: LogEntry[] = [];
    const open = new Set<string | null>();
    let seen = 0;
    for await (const entry of log.follow(from, {}, AbortSignal.timeout(OUTCOMES_TIME_MS_MAX))) {
      const { leaf } = entry;
      if (leaf.shape === "intent" && VISITS.has(leaf.operation.kind) && leaf.decision.kind !== "house") {
        found.push(entry);
        seen++;
        if (leaf.outcome === undefined) open.add(leaf.id);
      } else if (leaf.shape === "outcome" && open.delete(leaf.id)) {
        found.push(entry);
      } else if (leaf.shape === "event" && leaf.event === "session.refused") {
        found.push(entry);
        seen++;
      }
      if (seen === visits && open.size === 0) return found;
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
