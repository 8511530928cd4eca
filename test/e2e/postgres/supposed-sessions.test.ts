/** Random sessions, read text by text without the server: what each text comes to is what the live gateway recorded of it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { postgresAdapter } from "../../../adapters/postgres/adapter.ts";
import { encodeQuery } from "../../../adapters/postgres/protocol/frontend.ts";
import { isRefusal } from "../../../src/core/decision.ts";
import { UNKNOWN } from "../../../src/core/operation.ts";
import type { CatalogTarget } from "../../../src/core/policy-tools.ts";
import { readCatalog } from "../../../src/policy/set/catalog.ts";
import { SEED } from "../../chance.ts";
import { type Gateway, startGateway } from "../../gateway.ts";
import { type PostgresServer, startPostgres } from "../../servers/postgres.ts";
import { sqlStates } from "./transcript.ts";
import { WireClient } from "./wire-client.ts";

setDefaultTimeout(240_000);

const SESSIONS = 100;
const TEXTS_MAX = 10;

/** Two relations of one name, so that a wrong path is seen. */
const SCHEMA = `
  CREATE TABLE public.item AS SELECT 'open' AS name;
  CREATE SCHEMA other;
  CREATE TABLE other.item AS SELECT 'secret' AS name, 1 AS extra;
  CREATE ROLE other;
  GRANT USAGE ON SCHEMA other TO other;
  GRANT SELECT ON other.item, public.item TO other;`;

let server: PostgresServer;
let gateway: Gateway;
let catalog: CatalogTarget;
let password: string;

beforeAll(async () => {
  server = await startPostgres({ sql: SCHEMA });
  gateway = await startGateway({ postgres: server });
  password = await gateway.token("ann");
  expect((await gateway.weir("policy", "catalog", "pull")).status).toBe(0);
  const path = "catalog/db.json";
  const read = readCatalog([{ path, bytes: readFileSync(join(gateway.folder, "policies", path)) }]);
  const [target] = read.catalog.targets.values();
  if (target === undefined) throw new Error("nothing was pulled");
  catalog = target;
});
afterAll(async () => {
  await gateway.stop();
  await server.stop();
});

/** Writes sessions in which every text succeeds: it keeps what the next one may build on. */
class SessionWriter {
  readonly #random: (below: number) => number;
  #isInTransaction = false;
  #hasSavepoint = false;
  #isPrepared = false;
  #hasCursor = false;
  #isHeld = false;

  constructor(seed: number) {
    let state = seed;
    this.#random = (below) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }

  texts(): readonly string[] {
    return Array.from({ length: TEXTS_MAX }, () => {
      const choices = this.#choices();
      return choices[this.#random(choices.length)]?.() ?? "SELECT 1";
    });
  }

  #choices(): readonly (() => string)[] {
    const one = (...texts: readonly string[]) => texts.map((text) => () => text);
    const after = (text: string, change: () => void) => () => {
      change();
      return text;
    };
    const end = (): void => {
      this.#isInTransaction = false;
      this.#hasSavepoint = false;
      if (!this.#isHeld) this.#hasCursor = false;
    };
    return [
      ...one("SELECT name FROM item", "SELECT * FROM item", "SELECT name FROM public.item", "SELECT name FROM item"),
      ...one("SET search_path = other", "SET search_path = other, public", "SET search_path = public"),
      ...one("SET search_path = 'other'", `SET search_path = "$user", public`, "RESET search_path", "RESET ALL"),
      ...one("SET SESSION search_path TO DEFAULT", "SET ROLE other", "RESET ROLE", "SET ROLE NONE", "SHOW search_path"),
      ...one("SET standard_conforming_strings = off", "SET standard_conforming_strings = on", "SET work_mem = '5MB'"),
      ...(this.#isPrepared
        ? [
            ...one("EXECUTE s", "EXECUTE s"),
            after("DEALLOCATE s", () => (this.#isPrepared = false)),
            after("DEALLOCATE ALL", () => (this.#isPrepared = false)),
          ]
        : [after("PREPARE s AS SELECT name FROM item", () => (this.#isPrepared = true))]),
      ...(this.#hasCursor
        ? [
            ...one("FETCH ALL FROM p"),
            after("CLOSE p", () => (this.#hasCursor = false)),
            after("CLOSE ALL", () => (this.#hasCursor = false)),
          ]
        : []),
      ...(this.#hasCursor || !this.#isInTransaction
        ? []
        : [after("DECLARE p CURSOR FOR SELECT name FROM item", () => this.#declare(false))]),
      ...(this.#hasCursor || this.#isInTransaction
        ? []
        : [after("DECLARE p CURSOR WITH HOLD FOR SELECT * FROM item", () => this.#declare(true))]),
      ...(this.#isInTransaction
        ? [
            ...one("SET LOCAL search_path = other", "SET LOCAL search_path = public", "SET LOCAL ROLE other"),
            after("COMMIT", end),
            after("ROLLBACK", end),
            after("SAVEPOINT a", () => (this.#hasSavepoint = true)),
          ]
        : [
            // The server warns, and changes nothing.
            ...one("SET LOCAL search_path = other"),
            after("BEGIN", () => (this.#isInTransaction = true)),
            after("BEGIN; SET search_path = other; COMMIT", () => {}),
            after("DISCARD ALL", () => {
              this.#isPrepared = false;
              this.#hasCursor = false;
            }),
          ]),
      ...(this.#hasSavepoint ? [...one("ROLLBACK TO a"), after("RELEASE a", () => (this.#hasSavepoint = false))] : []),
    ];
  }

  #declare(isHeld: boolean): void {
    this.#hasCursor = true;
    this.#isHeld = isHeld;
  }
}

/** Runs the texts on one session. */
async function run(texts: readonly string[]): Promise<void> {
  const client = await WireClient.logIn(gateway, { database: "db", password });
  for (const text of texts) {
    const states = sqlStates(await client.ask(encodeQuery(text)));
    // A cursor may have been rolled back with a savepoint; all else succeeds.
    if (states.length > 0 && states[0] !== "34000") throw new Error(`${texts.join("; ")}: ${text}: ${states.join()}`);
    if (states.length > 0) break;
  }
  await client.terminate();
}

/** By session, in the order in which they were opened: the accesses of each text, as they were recorded. */
async function recorded(): Promise<readonly (readonly string[])[]> {
  const { stdout } = await gateway.weir("audit", "tail", "--json", "--lines", "100000");
  const sessions = new Map<string, string[]>();
  for (const line of stdout.split("\n")) {
    if (line === "") continue;
    const { leaf } = JSON.parse(line);
    if (leaf.operation?.kind !== "query" || leaf.decision.kind === "house") continue;
    const texts = sessions.get(leaf.session.id) ?? [];
    sessions.set(leaf.session.id, [...texts, normal(leaf.operation.accesses)]);
  }
  return [...sessions.values()];
}

/** As far as it can be told without the server. */
async function supposed(texts: readonly string[]): Promise<readonly string[]> {
  for (let count = texts.length; count > 0; count--) {
    const described = await postgresAdapter.policy.describe("sql", texts.slice(0, count), catalog, { place: null });
    if (!isRefusal(described)) return described.map(({ accesses }) => normal(accesses));
  }
  return [];
}

function normal(accesses: readonly object[]): string {
  const inOrder = (_: string, value: unknown): unknown => {
    if (value === UNKNOWN) return null;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };
  return JSON.stringify(accesses, inOrder);
}

test(`${SESSIONS} random sessions (WEIR_TEST_SEED=${SEED})`, async () => {
  const sessions = Array.from({ length: SESSIONS }, (_, index) => new SessionWriter(SEED + index).texts());
  for (const texts of sessions) await run(texts);
  const live = await recorded();
  expect(live).toHaveLength(SESSIONS);
  let compared = 0;
  for (const [index, texts] of sessions.entries()) {
    const then = live[index] ?? [];
    const now = await supposed(texts);
    const count = Math.min(then.length, now.length);
    const told = (list: readonly string[]) => list.slice(0, count).map((accesses, at) => `${texts[at]}: ${accesses}`);
    expect(told(now)).toEqual(told(then));
    compared += count;
  }
  expect(compared).toBeGreaterThan(SESSIONS * 4);
});
