/**
 * Masked columns that policy lets be compared (`predicates: equality`): one execution tells of one value, and every other
 * road is closed, in both modes. The bare server answers most of these differently on the twins.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { encodeQuery, encodeSync } from "../../adapters/postgres/protocol/frontend.ts";
import { Comparing, GUESSED, KNOWN, MODES, SIDES } from "../e2e/postgres/comparing.ts";
import { run } from "../e2e/postgres/messages.ts";
import { errorIn, rows, transcript } from "../e2e/postgres/transcript.ts";
import { WireClient } from "../e2e/postgres/wire-client.ts";
import { ANSWERED, type Attempt, REFUSED } from "./comparison-attacks.ts";

setDefaultTimeout(240_000);

/** Fewer than a minute's rate, so that no attempt is refused for that. */
const ATTEMPTS_OF_ONE = 15;
/** Attempts that the bare server answers differently on the twins; the others fail on it too. */
const LEAKING_SHARE_MIN = 0.7;

let world: Comparing;

beforeAll(async () => {
  world = await Comparing.start();
});

afterAll(async () => {
  await world?.stop();
});

type Ask = (attempt: Attempt) => Promise<readonly string[]>;

/** Runs attempts as one subject after the other; the answers of both sides, but for the ids of refusals. */
async function asked(mode: (typeof MODES)[number] | "bare", attempts: readonly Attempt[], guess: string) {
  const answers: (readonly [readonly string[], readonly string[]])[] = [];
  let sides: readonly Ask[] = [];
  let clients: readonly WireClient[] = [];
  for (const [at, attempt] of attempts.entries()) {
    if (at % ATTEMPTS_OF_ONE === 0) {
      for (const client of clients) await client.terminate();
      const subject = `agent-${mode}-${guess.slice(0, 3)}-${attempts.length}-${at}`;
      clients = await Promise.all(SIDES.map((side) => connect(mode, subject, side)));
      sides = clients.map((client) => (each) => (mode === "bare" ? undone : ask)(client, each, guess));
    }
    const [here = [], there = []] = await Promise.all(sides.map((each) => each(attempt)));
    answers.push([here, there]);
  }
  for (const client of clients) await client.terminate();
  return answers;
}

async function connect(mode: (typeof MODES)[number] | "bare", subject: string, side: (typeof SIDES)[number]) {
  if (mode !== "bare") return world.connect(mode, subject, side);
  const options = "-c search_path=app,public";
  return WireClient.logIn(world.server, { user: "app_owner", database: side, parameters: { options } });
}

async function ask(client: WireClient, [sql, ...parameters]: Attempt, guess: string): Promise<readonly string[]> {
  const given = parameters.length > 0 || !sql.includes("$1") ? parameters : [guess];
  const messages = await client.ask(run(sql, ...given), encodeSync());
  return transcript(messages).map((line) => line.replaceAll(/\(id [^ )]+\)/gu, "(id)"));
}

/** Straight at the server some attempts change rows. */
async function undone(client: WireClient, attempt: Attempt, guess: string): Promise<readonly string[]> {
  await client.ask(encodeQuery("BEGIN"));
  const answer = await ask(client, attempt, guess);
  await client.ask(encodeQuery("ROLLBACK"));
  return answer;
}

function isRefusal(answer: readonly string[]): boolean {
  return answer.some((line) => line.startsWith("E ") && line.includes("C=42501") && line.includes("(id)"));
}

test("straight from the server most of it tells the twins apart", async () => {
  const answers = await asked("bare", REFUSED, GUESSED);
  const leaking = answers.filter(([here, there]) => JSON.stringify(here) !== JSON.stringify(there));
  expect(leaking.length).toBeGreaterThan(REFUSED.length * LEAKING_SHARE_MIN);
});

describe.each(MODES)("%s", (mode) => {
  test("what would tell more is refused", async () => {
    const answers = await asked(mode, REFUSED, GUESSED);
    const answered = REFUSED.filter((_, at) => answers[at]?.some((answer) => !isRefusal(answer)) ?? true);
    expect(answered).toEqual([]);
    for (const [here, there] of answers) expect(there).toEqual(here);
  });

  test("what one comparison shows is the same on the twins when the value is in both or in none", async () => {
    for (const value of [KNOWN, "nobody@example.com"]) {
      const answers = await asked(mode, ANSWERED, value);
      for (const [at, [here, there]] of answers.entries()) {
        expect({ sql: ANSWERED[at], answer: there }).toEqual({ sql: ANSWERED[at], answer: here });
        expect({ sql: ANSWERED[at], refused: isRefusal(here) }).toEqual({ sql: ANSWERED[at], refused: false });
      }
    }
  });

  test("and shows the rows that the bare server finds", async () => {
    const bare = await connect("bare", "", "original");
    const attempts = ANSWERED.filter(([sql]) => sql.startsWith("SELECT id FROM") && !sql.includes("pet = "));
    const masked = await asked(mode, attempts, KNOWN);
    let found = 0;
    for (const [at, attempt] of attempts.entries()) {
      const own = (await ask(bare, attempt, KNOWN)).filter((line) => !line.startsWith("E "));
      const through = (masked[at]?.[0] ?? []).filter((line) => !line.startsWith("E "));
      expect({ attempt, rows: through }).toEqual({ attempt, rows: own });
      found += own.filter((line) => line.startsWith("D ")).length;
    }
    expect(found).toBeGreaterThan(15);
    await bare.terminate();
  });

  test("a guess that hits tells so, by consent, and no value is ever shown", async () => {
    const client = await world.connect(mode, `consent-${mode}`);
    const twin = await world.connect(mode, `consent-${mode}`, "twin");
    const sql = "SELECT id, email, phone FROM customers WHERE email = $1";
    expect(rows(await client.ask(run(sql, GUESSED), encodeSync()))).toEqual([["1", "***", "***"]]);
    expect(rows(await twin.ask(run(sql, GUESSED), encodeSync()))).toEqual([]);
    expect(errorIn(await client.ask(run(sql, "' OR true --"), encodeSync()))).toBeUndefined();
    await Promise.all([client.terminate(), twin.terminate()]);
  });
});
