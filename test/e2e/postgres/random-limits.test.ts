/** Conversations at random under limits: ample ones change nothing that a client sees, tight ones never leave it waiting. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { array, asyncProperty, check, constant, constantFrom, oneof, record, type Arbitrary } from "fast-check";
import {
  encodeClose,
  encodeCopyData,
  encodeCopyDone,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run } from "./messages.ts";
import { policyFiles } from "./policed.ts";
import { Roads } from "./roads.ts";
import { greeting, rows } from "./transcript.ts";
import { TEST_TIME_MS_MAX, type WireClient, WireClosed } from "./wire-client.ts";

setDefaultTimeout(4 * TEST_TIME_MS_MAX);

const CONVERSATIONS = 60;
const MESSAGES_MAX = 30;

const policy = (limit: string): Readonly<Record<string, string>> =>
  policyFiles(`  - id: everything
    subject: { any: true }
    target: { any: true }
    action: { any: true }
    allowOpaque: true
    obligations: { limit: ${limit} }`);

const AMPLE =
  "{ rows: 1000000, bytes: 1GiB, time: 1h, rate: 1000000/1h, budget: [{ rows: true, max: 1000000, per: day, across: subject }] }";
const TIGHT = "{ rows: 1, bytes: 100B, time: 1h }";

type Step = { readonly word: string; readonly bytes: Uint8Array };

const sql = constantFrom(
  "",
  "SELECT 1",
  "SELECT id, name FROM item ORDER BY id",
  "INSERT INTO item (name) VALUES ('new')",
  "INSERT INTO item (name) VALUES ('a'), ('b') RETURNING id",
  "UPDATE item SET name = 'x'",
  "INSERT INTO late VALUES (1)",
  "SELECT 1/0",
  "SELECT nothing",
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SAVEPOINT a",
  "ROLLBACK TO a",
  "SET application_name = 'fuzz'",
  "DECLARE p CURSOR FOR SELECT n FROM generate_series(1, 5) AS n",
  "FETCH 2 FROM p",
  "PREPARE s AS SELECT 'prepared'",
  "EXECUTE s",
  "COPY item TO STDOUT",
  "NOTIFY news, 'x'",
  "CREATE TABLE fresh (a int)",
  "DROP TABLE IF EXISTS fresh",
  "SELECT count(*) FROM fresh",
);
/** In a pipeline, what cannot run in a transaction fails behind the gateway's own question for settings (the README of the adapter). */
const query = oneof({ weight: 24, arbitrary: sql }, { weight: 1, arbitrary: constant("DISCARD ALL") });
const named = constantFrom("", "s");
const of = (word: string, bytes: Uint8Array): Step => ({ word, bytes });

const step: Arbitrary<Step> = oneof(
  { weight: 6, arbitrary: sql.map((text) => of(`Run ${text}`, run(text))) },
  { weight: 5, arbitrary: query.map((text) => of(`Query ${text}`, encodeQuery(text))) },
  {
    weight: 2,
    arbitrary: record({ a: sql, b: sql }).map(({ a, b }) => of(`Query ${a}; ${b}`, encodeQuery(`${a}; ${b}`))),
  },
  {
    weight: 3,
    arbitrary: record({ name: named, text: sql }).map((p) =>
      of(`Parse ${p.name}: ${p.text}`, encodeParse(p.name, p.text)),
    ),
  },
  {
    weight: 3,
    arbitrary: record({ portal: named, name: named }).map((b) =>
      of(`Bind ${b.portal} ${b.name}`, bind(b.portal, b.name)),
    ),
  },
  {
    weight: 3,
    arbitrary: record({ portal: named, max: constantFrom(0, 1) }).map((e) =>
      of(`Execute ${e.portal} ${e.max}`, encodeExecute(e.portal, e.max)),
    ),
  },
  { weight: 2, arbitrary: named.map((name) => of(`Describe ${name}`, encodeDescribe("statement", name))) },
  { weight: 1, arbitrary: named.map((name) => of(`Close ${name}`, encodeClose("statement", name))) },
  { weight: 6, arbitrary: constant(of("Sync", encodeSync())) },
  { weight: 2, arbitrary: constant(of("Flush", encodeFlush())) },
  {
    weight: 1,
    arbitrary: constantFrom("row\n", "too\tmany\n", "row\nrow\n").map((data) =>
      of(
        `COPY ${JSON.stringify(data)}`,
        Buffer.concat([
          encodeQuery("COPY item (name) FROM STDIN"),
          encodeCopyData(Buffer.from(data)),
          encodeCopyDone(),
        ]),
      ),
    ),
  },
);

let ample: Roads;
let tight: Roads;

beforeAll(async () => {
  const options = {
    sql: `CREATE TABLE item (id serial PRIMARY KEY, name text);
      CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO late VALUES (1)`,
    reset:
      "DROP TABLE IF EXISTS fresh; TRUNCATE item RESTART IDENTITY; INSERT INTO item (name) VALUES ('one'), ('two')",
  };
  ample = await Roads.start({ ...options, gateway: { policyFiles: policy(AMPLE) } });
  tight = await Roads.start({ ...options, gateway: { policyFiles: policy(TIGHT) } });
});

afterAll(async () => {
  await ample.stop();
  await tight.stop();
});

/** Sends everything in pieces of this size, and reads to the answer of a last query that ends every conversation. */
async function converse(client: WireClient, steps: readonly Step[], pieceSteps: number): Promise<string[]> {
  for (let at = 0; at < steps.length; at += pieceSteps) {
    client.send(...steps.slice(at, at + pieceSteps).map(({ bytes }) => bytes));
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.send(encodeSync(), encodeQuery("ROLLBACK"), encodeQuery("SHOW port"));
  for (;;) {
    const messages = await client.until("Z").catch((error: unknown) => {
      if (error instanceof WireClosed) return null;
      throw error;
    });
    const isEnd =
      messages === null ||
      (messages.some(({ type }) => type === "T") && rows(messages).some(([cell]) => /^\d{4,5}$/u.test(cell ?? "")));
    if (!isEnd) continue;
    client.abandon();
    return greeting(client.received);
  }
}

/** Errors by their SQLSTATE; reports of parameters may come at other places. */
function essence(lines: readonly string[]): string[] {
  return lines
    .filter((line) => !line.startsWith("S "))
    .map((line) => (line.startsWith("E ") ? `E ${/C=(\S+)/u.exec(line)?.[1]}` : line));
}

async function tryMany(property: (steps: readonly Step[], pieceSteps: number) => Promise<void>): Promise<void> {
  const conversation = asyncProperty(
    array(step, { minLength: 1, maxLength: MESSAGES_MAX }),
    constantFrom(1, 3, MESSAGES_MAX),
    property,
  );
  const details = await check(conversation, { numRuns: CONVERSATIONS, endOnFailure: true });
  if (!details.failed) return;
  const [steps = [], pieceSteps] = details.counterexample ?? [];
  const words = steps.map(({ word }) => word).join("\n");
  throw new Error(`seed ${details.seed}, pieces of ${pieceSteps}:\n${words}\n${String(details.errorInstance)}`);
}

test("ample limits change nothing that a client sees, but for what cannot be held to them", async () => {
  let compared = 0;
  await tryMany(async (steps, pieceSteps) => {
    const [direct, through] = ample.all;
    await ample.reset();
    const expected = await converse(await ample.connect(direct), steps, pieceSteps);
    await ample.reset();
    const seen = await converse(await ample.connect(through), steps, pieceSteps);
    if (seen.some((line) => line.includes("cannot be kept here"))) return;
    compared++;
    expect(essence(seen)).toEqual(essence(expected));
  });
  expect(compared).toBeGreaterThan(CONVERSATIONS / 2);
});

test("tight limits end every conversation, and let no operation change more than they say", async () => {
  let cut = 0;
  await tryMany(async (steps, pieceSteps) => {
    const [direct, through] = tight.all;
    await tight.reset();
    const expected = await converse(await tight.connect(direct), steps, pieceSteps);
    await tight.reset();
    const seen = await converse(await tight.connect(through), steps, pieceSteps);
    cut += seen.filter((line) => line.includes("C=54000")).length;
    if (!expected.some((line) => line.includes("S=FATAL"))) expect(seen.at(-1)).toBe("Z I");
    for (const line of seen) expect(line).not.toMatch(/^C (?:(?:INSERT 0|UPDATE|COPY) (?:[2-9]|\d\d))/u);
  });
  expect(cut).toBeGreaterThan(0);
});
