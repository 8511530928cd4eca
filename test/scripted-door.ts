/** A door among fakes that do as they are told, for tests of what stands before it. */
import { refusal } from "../src/core/decision.ts";
import type { Door } from "../src/core/ports.ts";
import { GateDoor, type HouseParts } from "../src/gate/door.ts";
import { policyOf, ScriptedAudit, ScriptedMeters, ScriptedRecorder } from "./gate-world.ts";

/** Lets everything through at once that `parts` does not say otherwise of; there are no targets. */
export function scriptedDoor(parts: Partial<HouseParts>): Door {
  const nobody = refusal("unauthenticated", "nobody");
  return new GateDoor({
    policy: policyOf(new Map()),
    audit: new ScriptedAudit(),
    durability: "relaxed",
    authenticator: { authenticate: async () => nobody, stillValid: () => true, knowsKey: () => false },
    approvals: { ask: async () => nobody },
    meters: new ScriptedMeters(),
    recorder: new ScriptedRecorder(),
    dialer: { dial: () => Promise.reject(new Error("nowhere")) },
    forwarding: { destinationOf: async () => ({ kind: "elsewhere" }), accept: () => false },
    clock: { now: () => 1_000 },
    targets: new Map(),
    limits: { sessionsMax: 10, sessionsPerSubjectMax: 10 },
    keeps: () => ["limit", "mask", "record", "session"],
    contentMask: () => null,
    say: () => {},
    ...parts,
  });
}
