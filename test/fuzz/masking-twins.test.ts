/**
 * Twins: random sessions on two databases that differ only in what policy masks get the same bytes from a gateway, in
 * both modes; straight from the server they do not.
 *
 * An ordinary run holds 20,000 statements; WEIR_TEST_LONG (`./dev test --long`) a million. WEIR_TWINS_STATEMENTS says
 * how many there are, WEIR_TWINS_SEED repeats a run, and WEIR_TWINS_SESSION one session of it.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { SEED as SEED_OF_RUN } from "../chance.ts";
import { directRoad, gatewayRoad, type Mode, type Road } from "../masking/roads.ts";
import { caseOf, sessionOf } from "./masking-sessions.ts";
import { FIXED_CASES } from "./masking-finds.ts";
import { emptyTally, type Find, Lane, setTimeLimit, type Tally } from "./masking-twins.ts";

const STATEMENTS_ORDINARY = 20_000;
const STATEMENTS_LONG = 1_000_000;
const DEFAULT = process.env["WEIR_TEST_LONG"] === undefined ? STATEMENTS_ORDINARY : STATEMENTS_LONG;
const STATEMENTS = Number(process.env["WEIR_TWINS_STATEMENTS"] ?? DEFAULT);
/** An ordinary run has always the same sessions. */
const USUAL = process.env["WEIR_TEST_LONG"] === undefined ? 1_054_748_123 : SEED_OF_RUN;
const SEED = Number(process.env["WEIR_TWINS_SEED"] ?? USUAL);
const ONLY = process.env["WEIR_TWINS_SESSION"];

/** How many pairs of databases are in use at once. */
const LANES = 6;
const STATEMENTS_OF_CONTROL = 1_500;
/** Of all statements, those that are answered and in which masked relations stand; fewer, and the fuzzer would be blind. */
const TOUCHING_SHARE_MIN = 0.5;
/** Of those, the units that the bare server answers differently on the twins. */
const CONTROL_SHARE_MIN = 0.15;

/** Differences that come from how dead rows lie on disk (Tally.unsteady): so many, and one more for so many statements. */
const UNSTEADY_MAX = 2;
const STATEMENTS_PER_UNSTEADY = 10_000;
/** Statements that take the server too long: so many, and one more for so many statements. */
const SLOW_MAX = 3;
const STATEMENTS_PER_SLOW = 5_000;

setDefaultTimeout(STATEMENTS * 50 + 120_000);

/** How much of a run is held in each mode; guarded is the product's masking. */
const MODES: readonly (readonly [Mode, number])[] = [
  ["guarded", 0.75],
  ["inline", 0.25],
];

/** Writing what one cannot read back needs a permit that names it; what is written here is never anybody's secret. */
const MAY_WRITE_SECRETS = `  - id: may-write-secrets
    subject: { any: true }
    target: { any: true }
    action: { postgres: { columns: ["**"] } }
`;

/** Shown as NULL, so that both kinds of constants are drawn. */
const NULLS = ["app.customers.ssn", "app.customers_vip.ssn", "app.customer_audit.old_row", "app.customers.notes"];

type Work = { readonly statements: number; readonly isControl: boolean };

async function run(road: Road, { statements, isControl }: Work): Promise<Tally> {
  const tally = emptyTally();
  let next = 0;
  const failures: unknown[] = [];
  const lanes = Array.from({ length: LANES }, async () => {
    const lane = new Lane(road.server, (database) => road.stage(database, "gw_agent"), tally);
    while (tally.statements < statements && failures.length === 0) {
      const session = sessionOf(SEED, next++);
      try {
        await (isControl ? lane.count(session) : lane.hold(session));
      } catch (error) {
        failures.push(new Error(`seed ${SEED}, session ${session.number}`, { cause: error }));
      }
    }
    await lane.end();
  });
  // All of them have let go of the server before anybody is told.
  await Promise.all(lanes);
  if (failures.length > 0) throw failures[0];
  return tally;
}

/** One session, or the cases that were found once. */
async function hold(road: Road, sessions: readonly ReturnType<typeof sessionOf>[]): Promise<Tally> {
  const tally = emptyTally();
  const lane = new Lane(road.server, (database) => road.stage(database, "gw_agent"), tally);
  for (const session of sessions) await lane.hold(session);
  await lane.end();
  return tally;
}

function shown({ session, units, difference }: Find): string {
  return [
    `seed ${SEED}, session ${session} (WEIR_TWINS_SEED and WEIR_TWINS_SESSION repeat it):`,
    ...units.map(({ words }) => `  ${words}`),
    `  ${difference}`,
  ].join("\n");
}

function shareOf(part: number, { statements }: Tally): number {
  return part / Math.max(1, statements);
}

test("straight from the server the twins are told apart", async () => {
  const road = await directRoad();
  try {
    await setTimeLimit(road.server);
    const tally = await run(road, { statements: STATEMENTS_OF_CONTROL, isControl: true });
    expect(shareOf(tally.acceptedTouching, tally)).toBeGreaterThan(TOUCHING_SHARE_MIN);
    expect(tally.differing).toBeGreaterThan(CONTROL_SHARE_MIN * tally.acceptedTouching);
  } finally {
    await road.stop();
  }
});

test.each(MODES)(`%s, seed ${SEED}: nobody tells the twins apart`, async (mode, share) => {
  const road = await gatewayRoad(mode, { permits: MAY_WRITE_SECRETS, nulls: NULLS });
  try {
    await setTimeLimit(road.server);
    const known = await hold(road, FIXED_CASES.map(caseOf));
    expect(known.finds.map(shown)).toEqual([]);
    if (ONLY !== undefined) {
      const { finds } = await hold(road, [sessionOf(SEED, Number(ONLY))]);
      expect(finds.map(shown)).toEqual([]);
      return;
    }
    const tally = await run(road, { statements: STATEMENTS * share, isControl: false });
    process.stdout.write(`${mode}: ${report(tally)}\n`);
    expect(tally.finds.map(shown)).toEqual([]);
    expect(tally.unsteady.slice(UNSTEADY_MAX + (STATEMENTS * share) / STATEMENTS_PER_UNSTEADY)).toEqual([]);
    expect(tally.slow.slice(SLOW_MAX + (STATEMENTS * share) / STATEMENTS_PER_SLOW)).toEqual([]);
    expect(shareOf(tally.acceptedTouching, tally)).toBeGreaterThan(TOUCHING_SHARE_MIN);
  } finally {
    await road.stop();
  }
});

function report(tally: Tally): string {
  const percent = (part: number): string => `${Math.round(100 * shareOf(part, tally))}%`;
  return `${tally.statements} statements in ${tally.sessions} sessions, ${percent(tally.accepted)} answered, ${percent(tally.acceptedTouching)} of all with masked relations in them, ${tally.unsteady.length} unsteady, ${tally.slow.length} too slow`;
}
