/**
 * Twins whose masked values may be compared (`predicates: equality`): as long as no parameter is a value of one side alone,
 * random sessions get the same bytes from both, in both modes.
 *
 * An ordinary run holds 4,000 statements, WEIR_TEST_LONG 100,000. WEIR_COMPARISONS_STATEMENTS says how many there are,
 * WEIR_TWINS_SEED repeats a run, and WEIR_TWINS_SESSION one session of it.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { SEED as SEED_OF_RUN } from "../chance.ts";
import type { Stage } from "../masking/player.ts";
import { gatewayRoad, type Mode, type Road } from "../masking/roads.ts";
import { COMMON_ROWS, COMPARED_COLUMNS } from "./masking-schema.ts";
import { sessionOf } from "./masking-sessions.ts";
import { emptyTally, Lane, setTimeLimit, type Tally } from "./masking-twins.ts";

const DEFAULT = process.env["WEIR_TEST_LONG"] === undefined ? 4_000 : 100_000;
const STATEMENTS = Number(process.env["WEIR_COMPARISONS_STATEMENTS"] ?? DEFAULT);
const SEED = Number(process.env["WEIR_TWINS_SEED"] ?? SEED_OF_RUN);
const ONLY = process.env["WEIR_TWINS_SESSION"];

const LANES = 6;
/** Each may try 20 values a minute and 200 a day on one column: so many subjects take turns. */
const SUBJECTS = 12;
/** Of all statements, those that are answered and in which masked relations stand: many are refused for their conditions. */
const TOUCHING_SHARE_MIN = 0.25;
/** Of all statements, those that compare a masked column and are answered. */
const COMPARING_SHARE_MIN = 0.02;
/** As in masking-twins.test.ts. */
const UNSTEADY_MAX = 2;
const STATEMENTS_PER_UNSTEADY = 10_000;
const SLOW_MAX = 3;
const STATEMENTS_PER_SLOW = 5_000;

const MODES: readonly Mode[] = ["guarded", "inline"];

setDefaultTimeout(STATEMENTS * 60 + 240_000);

async function run(road: Road): Promise<Tally> {
  const tally = emptyTally();
  const tokens: string[] = [];
  for (let at = 0; at < SUBJECTS; at++) tokens.push((await road.gateway?.token(`bot-${at}`, "agent")) ?? "");
  let next = 0;
  const failures: unknown[] = [];
  const only = ONLY === undefined ? null : Number(ONLY);
  const lanes = Array.from({ length: only === null ? LANES : 1 }, async () => {
    let turn = 0;
    const stage = (database: string): Stage => {
      const { login, ...rest } = road.stage(database, "gw_agent");
      return {
        ...rest,
        get login() {
          return { ...login, password: tokens[turn % SUBJECTS] ?? "" };
        },
      };
    };
    const lane = new Lane(road.server, stage, tally);
    while (tally.statements < STATEMENTS / 2 && failures.length === 0) {
      const session = sessionOf(SEED, only ?? next++, true);
      turn = session.number;
      try {
        await lane.hold(session);
      } catch (error) {
        failures.push(new Error(`seed ${SEED}, session ${session.number}`, { cause: error }));
      }
      if (only !== null) break;
    }
    await lane.end();
  });
  await Promise.all(lanes);
  if (failures.length > 0) throw failures[0];
  return tally;
}

test.each(MODES)(`%s, seed ${SEED}: nobody tells the twins apart by what is in both or in none`, async (mode) => {
  const road = await gatewayRoad(mode, { compared: COMPARED_COLUMNS.map((name) => `app.${name}`) });
  try {
    await setTimeLimit(road.server);
    for (const template of ["template_original", "template_twin"]) road.server.postgres.psql(COMMON_ROWS, template);
    const tally = await run(road);
    const share = (part: number): number => part / Math.max(1, tally.statements);
    process.stdout.write(
      `${mode}, seed ${SEED}: ${tally.statements} statements in ${tally.sessions} sessions, ${Math.round(100 * share(tally.accepted))}% answered, ${Math.round(100 * share(tally.acceptedTouching))}% of all with masked relations in them, ${tally.acceptedComparing} comparisons, ${tally.unsteady.length} unsteady, ${tally.slow.length} too slow\n`,
    );
    const shown = tally.finds.map(({ session, units, difference }) =>
      [`seed ${SEED}, session ${session}:`, ...units.map(({ words }) => `  ${words}`), `  ${difference}`].join("\n"),
    );
    expect(shown).toEqual([]);
    expect(tally.unsteady.slice(UNSTEADY_MAX + STATEMENTS / 2 / STATEMENTS_PER_UNSTEADY)).toEqual([]);
    expect(tally.slow.slice(SLOW_MAX + STATEMENTS / 2 / STATEMENTS_PER_SLOW)).toEqual([]);
    if (ONLY !== undefined) return;
    expect(share(tally.acceptedTouching)).toBeGreaterThan(TOUCHING_SHARE_MIN);
    expect(tally.acceptedComparing).toBeGreaterThan(COMPARING_SHARE_MIN * tally.statements);
  } finally {
    await road.stop();
  }
});
