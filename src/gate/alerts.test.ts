/** Alerts: each is in the log, and the operator hears of every channel and severity without a flood. */
import { beforeEach, expect, test } from "bun:test";
import { operationOf, ScriptedAudit } from "../../test/gate-world.ts";
import { NO_RULES } from "../core/decision.ts";
import type { Alert } from "../core/obligation.ts";
import { AuditUnavailable } from "../core/ports.ts";
import { Alerts } from "./alerts.ts";

let now = 0;
let said: string[] = [];
let audit = new ScriptedAudit();
let alerts = new Alerts(audit, { now: () => now }, (line) => said.push(line));

beforeEach(() => {
  now = 5_000;
  said = [];
  audit = new ScriptedAudit();
  alerts = new Alerts(audit, { now: () => now }, (line) => said.push(line));
});

const DPO: Alert = { channel: "dpo", severity: "warning" };

function raise(id: string, alert: readonly Alert[] | undefined): void {
  const obligations = alert === undefined ? {} : { alert };
  alerts.raise(operationOf(id, true), { kind: "permit", rules: ["p", "q"], observed: NO_RULES, obligations });
}

test("every alert of an operation is an event that says who did what where, by which rules", () => {
  raise("a", [DPO, { channel: "ops", severity: "critical" }]);
  const facts = { id: "a", issuer: "weir", subject: "ann", target: "db", rules: ["p", "q"] };
  expect(audit.events).toEqual([
    ["alert.raised", { ...facts, channel: "dpo", severity: "warning" }],
    ["alert.raised", { ...facts, channel: "ops", severity: "critical" }],
  ]);
  expect(said).toEqual([
    "alert for dpo (warning): ann on db, operation a, by p, q",
    "alert for ops (critical): ann on db, operation a, by p, q",
  ]);
});

test("without an alert nothing is recorded and nothing said", () => {
  raise("a", undefined);
  raise("b", []);
  expect(audit.events).toEqual([]);
  expect(said).toEqual([]);
});

test("one line in a second for each channel and severity, and the next says how many went before it", () => {
  for (const id of ["a", "b", "c"]) raise(id, [DPO]);
  raise("d", [{ channel: "dpo", severity: "critical" }]);
  raise("e", [{ channel: "ops", severity: "warning" }]);
  expect(said.map((line) => line.replace(/ann.*operation /, ""))).toEqual([
    "alert for dpo (warning): a, by p, q",
    "alert for dpo (critical): d, by p, q",
    "alert for ops (warning): e, by p, q",
  ]);
  expect(audit.events).toHaveLength(5);
  now += 999;
  raise("f", [DPO]);
  expect(said).toHaveLength(3);
  now += 1;
  raise("g", [DPO]);
  raise("h", [{ channel: "ops", severity: "warning" }]);
  expect(said.slice(3)).toEqual([
    "alert for dpo (warning): ann on db, operation g, by p, q (and 3 before it)",
    "alert for ops (warning): ann on db, operation h, by p, q",
  ]);
  // Counted from the last line that was said, and what was said is not said again.
  now += 999;
  raise("i", [DPO]);
  expect(said).toHaveLength(5);
  now += 1;
  raise("j", [DPO]);
  expect(said[5]).toEndWith("operation j, by p, q (and 1 before it)");
});

test("a clock that was set back does not silence them", () => {
  raise("a", [DPO]);
  now -= 3_600_000;
  raise("b", [DPO]);
  expect(said).toHaveLength(2);
});

test("an alert that cannot be recorded is thrown and not said", () => {
  audit.fail();
  expect(() => raise("a", [DPO])).toThrow(AuditUnavailable);
  expect(said).toEqual([]);
});
