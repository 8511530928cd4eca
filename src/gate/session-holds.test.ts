/** How long a session may last and stay idle: to the millisecond, and always by the strictest rule. */
import { expect, test } from "bun:test";
import { SESSION } from "../../test/gate-world.ts";
import { SessionHolds } from "./session-holds.ts";

test("without an obligation a session may stay for ever", () => {
  const holds = new SessionHolds(0);
  holds.tighten({ readOnly: true }, ["p"]);
  expect(holds.overdue(SESSION, true, Number.MAX_SAFE_INTEGER)).toBeNull();
});

test("a session ends when it has lasted for as long as it may, at work or not", () => {
  const holds = new SessionHolds(0);
  holds.tighten({ maxDurationMs: 100 }, ["p"]);
  holds.touch(99);
  for (const isIdle of [true, false]) {
    expect(holds.overdue(SESSION, isIdle, 99)).toBeNull();
    expect(holds.overdue(SESSION, isIdle, 100)).toMatchObject({
      code: "limit",
      message: "policy lets this session last for at most 100 ms",
      rules: ["p"],
      event: SESSION.id,
    });
  }
});

test("a session's time counts from when it was opened, its idleness from when it was last at work", () => {
  const session = { ...SESSION, openedAtMs: 1_000 };
  const holds = new SessionHolds(session.openedAtMs);
  holds.tighten({ maxDurationMs: 100, idleMs: 60 }, ["p"]);
  expect(holds.overdue(session, true, 1_059)).toBeNull();
  expect(holds.overdue(session, true, 1_060)?.message).toBe("policy lets this session be idle for at most 60 ms");
  expect(holds.overdue(session, false, 1_060)).toBeNull();
  holds.touch(1_050);
  expect(holds.overdue(session, true, 1_099)).toBeNull();
  expect(holds.overdue(session, true, 1_100)?.message).toBe("policy lets this session last for at most 100 ms");
});

test("the strictest holds and is named; what is as strict or milder changes nothing", () => {
  const holds = new SessionHolds(0);
  holds.tighten({ maxDurationMs: 100, idleMs: 10 }, ["first"]);
  holds.tighten({ maxDurationMs: 100, idleMs: 10 }, ["equal"]);
  holds.tighten({ maxDurationMs: 101, idleMs: 11 }, ["milder"]);
  expect(holds.overdue(SESSION, true, 10)).toMatchObject({ rules: ["first"] });
  expect(holds.overdue(SESSION, false, 100)).toMatchObject({ rules: ["first"] });
  holds.tighten({ idleMs: 5 }, ["idler"]);
  expect(holds.overdue(SESSION, true, 5)).toMatchObject({ rules: ["idler"] });
  expect(holds.overdue(SESSION, false, 99)).toBeNull();
  holds.tighten({ maxDurationMs: 50 }, ["shorter"]);
  expect(holds.overdue(SESSION, true, 50)).toMatchObject({ rules: ["shorter"] });
});
