/** A door for what the gateway's owner tries by hand: nobody can log in through it, and nothing of it is recorded. */
import type { Config } from "../config/config.ts";
import { refusal } from "../core/decision.ts";
import type { Decision } from "../core/decision.ts";
import type { Door, Policy } from "../core/ports.ts";
import { RecordingFailed } from "../core/recording.ts";
import { DirectDialer } from "../dial/direct.ts";
import { GateDoor } from "../gate/door.ts";
import { DryLog } from "./dry-log.ts";

/** Opens only the gateway's own sessions with the configured targets; `who` is the command, for messages. */
export function ownersDoor(config: Config, who: string): Door {
  const nobody = refusal("denied", `${who} lets nobody in`);
  const deny = (): Decision => ({ kind: "deny", rules: [], observed: [], refusal: nobody });
  const policy: Policy = {
    epoch: 1,
    digest: "",
    commit: null,
    decide: deny,
    mayConnect: deny,
    nextEdge: () => Infinity,
    masks: (_, accesses) => accesses.map(() => null),
    maskTransforms: (_, accesses) => accesses.map(() => []),
    mayCompare: (_, accesses) => accesses.map(() => false),
    onChange: () => {},
    pattern: () => null,
  };
  return new GateDoor({
    policy,
    audit: new DryLog(),
    durability: "strict",
    authenticator: { authenticate: async () => nobody, stillValid: () => false, knowsKey: () => false },
    approvals: { ask: async () => nobody },
    meters: { admit: () => nobody, forget() {} },
    recorder: { seals: false, open: () => Promise.reject(new RecordingFailed(`${who} records nothing`)) },
    dialer: new DirectDialer(),
    forwarding: { destinationOf: async () => ({ kind: "closed", why: `not for ${who}` }), accept: () => false },
    clock: { now: () => Date.now() },
    targets: new Map(config.targets.map((target) => [target.name, target])),
    limits: config.limits,
    keeps: () => [],
    contentMask: () => null,
    say: () => {},
  });
}
