/** Attacks by what PostgreSQL 16, 17 and 18 have and 15 has not, on such a server: test/server-versions.test.ts runs them there. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { serverMajor } from "../servers/postgres.ts";
import { attackOn, leaking } from "./attacking.ts";
import { newerAttacks } from "./corpus.ts";
import { directRoad, gatewayRoad, type Mode } from "./roads.ts";

const TIME_MS_MAX = 600_000;
setDefaultTimeout(TIME_MS_MAX);

const ATTACKS = newerAttacks(serverMajor());

/** One of those that may write this is told by the server which values are there; its words must not say them. */
const MAY_WRITE_TEAMS = `  - id: may-write-teams
    subject: { any: true }
    target: { any: true }
    action: { postgres: { columns: [app.staff.team] } }
`;

const MODES: readonly Mode[] = ["guarded", "inline"];

// On 15 there is nothing of it.
describe.skipIf(ATTACKS.length === 0)("attacks that this server knows", () => {
  test("the bare server gives away a secret to each", async () => {
    const outcomes = await attackOn(() => directRoad(true), ATTACKS);
    const told = ATTACKS.filter((attack) => attack.expect !== "harmless-or-denied").map(({ id }) => id);
    const silent = outcomes.filter(({ leak, name }) => leak === null && told.some((id) => name.startsWith(`${id} `)));
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  test.each(MODES)("%s: none reads a secret or tells the twins apart", async (mode) => {
    const outcomes = await attackOn(() => gatewayRoad(mode, { isNewer: true, permits: MAY_WRITE_TEAMS }), ATTACKS);
    expect(outcomes.length).toBeGreaterThanOrEqual(ATTACKS.length);
    expect(leaking(outcomes)).toEqual([]);
  });
});
