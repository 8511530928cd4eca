/** Messages at random, as one client could send them, and a conversation made of them. */
import { constant, constantFrom, nat, oneof, record } from "fast-check";
import {
  encodeClose,
  encodeCopyData,
  encodeCopyDone,
  encodeCopyFail,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../../adapters/postgres/protocol/frontend.ts";
import { bind, run } from "./messages.ts";
import type { RoadsOptions } from "./roads.ts";
import { rows } from "./transcript.ts";
import { type WireClient, WireClosed } from "./wire-client.ts";

/** What the messages speak of. */
export const STEP_ROADS: RoadsOptions = {
  sql: "CREATE TABLE item (id serial PRIMARY KEY, name text); CREATE SCHEMA other",
  reset:
    "DROP TABLE IF EXISTS fresh, other.fresh; TRUNCATE item RESTART IDENTITY; INSERT INTO item (name) VALUES ('one'), ('two')",
};

/** A message, or a few that belong together, with a word that shows them when a test fails. */
export type Step = { readonly word: string; readonly bytes: Uint8Array };

const statementName = constantFrom("", "s", "t");
const portalName = constantFrom("", "p", "q");
const sql = constantFrom(
  "",
  "SELECT 1",
  "SELECT $1::text",
  "SELECT n FROM generate_series(1, 5) AS n",
  "SELECT id, name FROM item ORDER BY id",
  "INSERT INTO item (name) VALUES ('new')",
  "SELECT 1/0",
  "SELECT nothing",
  "SELEC",
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SAVEPOINT a",
  "ROLLBACK TO a",
  "SET application_name = 'fuzz'",
  "SET LOCAL search_path = other, public",
  "RESET search_path",
  "DECLARE p CURSOR FOR SELECT n FROM generate_series(1, 5) AS n",
  "FETCH 2 FROM p",
  "CLOSE p",
  "PREPARE s AS SELECT 'prepared'",
  "EXECUTE s",
  "DEALLOCATE s",
  "DEALLOCATE ALL",
  "COPY item TO STDOUT",
  "DO $$ BEGIN RAISE NOTICE 'a notice'; END $$",
  "LISTEN news",
  "NOTIFY news, 'x'",
  "CREATE TABLE fresh (a int)",
  "DROP TABLE IF EXISTS fresh",
  "SELECT count(*) FROM fresh",
  "SELECT set_config('search_path', 'public', true)",
);
/** In a pipeline, what cannot run in a transaction fails behind the gateway's own question for settings (the README of the adapter). */
const query = oneof({ weight: 24, arbitrary: sql }, { weight: 1, arbitrary: constant("DISCARD ALL") });
const rowsMax = constantFrom(0, 1, 3);

export const step = oneof(
  {
    weight: 6,
    arbitrary: record({ name: statementName, text: sql }).map(({ name, text }): Step => ({
      word: `Parse ${name}: ${text}`,
      bytes: encodeParse(name, text),
    })),
  },
  {
    weight: 6,
    arbitrary: record({ portal: portalName, name: statementName, count: nat(1) }).map(
      ({ portal, name, count }): Step => ({
        word: `Bind ${portal} ${name} ${count}`,
        bytes: bind(portal, name, count === 1 ? ["x"] : []),
      }),
    ),
  },
  {
    weight: 6,
    arbitrary: record({ portal: portalName, max: rowsMax }).map(({ portal, max }): Step => ({
      word: `Execute ${portal} ${max}`,
      bytes: encodeExecute(portal, max),
    })),
  },
  { weight: 6, arbitrary: sql.map((text): Step => ({ word: `Run ${text}`, bytes: run(text) })) },
  { weight: 6, arbitrary: query.map((text): Step => ({ word: `Query ${text}`, bytes: encodeQuery(text) })) },
  {
    weight: 2,
    arbitrary: record({ a: sql, b: sql }).map(({ a, b }): Step => ({
      word: `Query ${a}; ${b}`,
      bytes: encodeQuery(`${a}; ${b}`),
    })),
  },
  {
    weight: 3,
    arbitrary: statementName.map((name): Step => ({
      word: `Describe statement ${name}`,
      bytes: encodeDescribe("statement", name),
    })),
  },
  {
    weight: 3,
    arbitrary: portalName.map((name): Step => ({
      word: `Describe portal ${name}`,
      bytes: encodeDescribe("portal", name),
    })),
  },
  {
    weight: 2,
    arbitrary: statementName.map((name): Step => ({
      word: `Close statement ${name}`,
      bytes: encodeClose("statement", name),
    })),
  },
  {
    weight: 2,
    arbitrary: portalName.map((name): Step => ({ word: `Close portal ${name}`, bytes: encodeClose("portal", name) })),
  },
  { weight: 6, arbitrary: constant<Step>({ word: "Sync", bytes: encodeSync() }) },
  { weight: 2, arbitrary: constant<Step>({ word: "Flush", bytes: encodeFlush() }) },
  {
    weight: 1,
    arbitrary: constant<Step>({
      word: "FunctionCall",
      bytes: encodeFunctionCall({
        functionOid: 1397,
        argumentFormats: [],
        arguments: [Buffer.from("-3")],
        resultFormat: 0,
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: constantFrom(encodeCopyDone(), encodeCopyFail("no"), encodeCopyData(Buffer.from("x\n"))).map(
      (bytes): Step => ({ word: `stray ${String.fromCharCode(bytes[0] ?? 0)}`, bytes }),
    ),
  },
  {
    weight: 2,
    arbitrary: record({
      isSimple: constantFrom(true, false),
      end: constantFrom(encodeCopyDone(), encodeCopyFail("no")),
      data: constantFrom("row\n", "too\tmany\n"),
    }).map(({ isSimple, end, data }): Step => {
      const copy = "COPY item (name) FROM STDIN";
      const begin = isSimple ? encodeQuery(copy) : Buffer.concat([run(copy), encodeFlush()]);
      return {
        word: `COPY ${isSimple ? "simple" : "extended"} ${JSON.stringify(data)} ${String.fromCharCode(end[0] ?? 0)}`,
        bytes: Buffer.concat([begin, encodeCopyData(Buffer.from(data)), end]),
      };
    }),
  },
);

/** Sends everything in pieces of this size, and reads to the answer of a last query that ends every conversation. */
export async function converse(client: WireClient, steps: readonly Step[], pieceSteps: number): Promise<void> {
  for (let at = 0; at < steps.length; at += pieceSteps) {
    client.send(...steps.slice(at, at + pieceSteps).map(({ bytes }) => bytes));
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.send(encodeSync(), encodeQuery("ROLLBACK"), encodeQuery("SELECT 'the end'"));
  for (;;) {
    const messages = await client.until("Z").catch((error: unknown) => {
      // The server itself has statements that end the session: a SAVEPOINT among pipelined ones, for example.
      if (error instanceof WireClosed) return null;
      throw error;
    });
    if (messages === null || rows(messages).flat().includes("the end")) return;
  }
}
