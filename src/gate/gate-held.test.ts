/** New work that is held up although the log works: refused and recorded, while what is the gateway's own and what runs goes on. */
import { expect, test } from "bun:test";
import {
  decisionOn,
  operationOf,
  outcomesOf,
  permitOf,
  RecordingExchange,
  SESSION,
  settle,
  submit,
  worldOf,
  type Verdict,
} from "../../test/gate-world.ts";
import { NO_RULES } from "../core/decision.ts";

const WHY = "no witness has confirmed the log";
const VERDICTS = new Map<string, Verdict>([
  ["a", "permit"],
  ["b", "permit"],
  ["c", "permit"],
  ["asked", "ask"],
]);

test("an operation is refused and recorded, and the next one runs when nothing holds it up any more", () => {
  let why: string | null = null;
  const world = worldOf("strict", VERDICTS, { hold: () => why });
  const running = submit(world, "a");
  world.audit.sync();
  why = WHY;
  const held = submit(world, "b");
  world.audit.sync();
  expect(running).toMatchObject({ started: 1, refused: [] });
  expect(held).toMatchObject({ started: 0, refused: [{ code: "audit_unavailable", message: WHY, event: "b" }] });
  expect(decisionOn(world, "b")).toMatchObject({ kind: "deny", rules: NO_RULES, refusal: { message: WHY } });
  expect(world.gate.finish(permitOf(running), { status: "done" })).toBe(true);
  expect(outcomesOf(world)["a"]).toEqual(["done"]);
  why = null;
  const after = submit(world, "c");
  world.audit.sync();
  expect(after).toMatchObject({ started: 1, refused: [] });
});

test("the gateway's own operations go on", () => {
  const world = worldOf("strict", VERDICTS, { hold: () => WHY });
  const exchange = new RecordingExchange("house", world.upstream, world.order);
  world.gate.submitHouse(SESSION, operationOf("house", false), exchange);
  world.audit.sync();
  expect(exchange.seen).toMatchObject({ started: 1, refused: [] });
});

test("what people approve meanwhile is refused too", async () => {
  let why: string | null = null;
  const world = worldOf("strict", VERDICTS, { hold: () => why });
  const asked = submit(world, "asked");
  why = WHY;
  world.approvals.get("asked")?.("approved");
  await settle();
  world.audit.sync();
  expect(asked).toMatchObject({ started: 0, refused: [{ code: "audit_unavailable", message: WHY }] });
});
