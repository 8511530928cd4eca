/** The policy, decisions and sessions that the benchmark of the log records. */
import type { Decision } from "../../src/core/decision.ts";
import type { Policy } from "../../src/core/ports.ts";
import type { Session } from "../../src/core/session.ts";

export const PERMIT: Decision = { kind: "permit", rules: ["shop/agents-read"], observed: [], obligations: {} };
export const POLICY: Policy = {
  epoch: 1,
  digest: "5".repeat(64),
  commit: "0123456789abcdef0123456789abcdef01234567",
  decide: () => PERMIT,
  mayConnect: () => PERMIT,
  nextEdge: () => Number.POSITIVE_INFINITY,
  masks: (_, accesses) => accesses.map(() => null),
  maskTransforms: (_, accesses) => accesses.map(() => []),
  mayCompare: (_, accesses) => accesses.map(() => false),
  onChange: () => {},
  pattern: () => null,
};

/** A session of one of the subjects on one of the targets. */
export function sessionOf(id: string, subject: number, target: number, openedAtMs: number): Session {
  return {
    id,
    identity: {
      kind: "agent",
      issuer: "weir",
      subject: `agent-${subject}`,
      groups: ["agents", "shop"],
      owner: "ann",
      proof: { method: "token", credential: `tok-${subject}`, expiresAtMs: 1_800_000_000_000 },
    },
    target: { name: `orders-${target}`, adapter: "postgres", labels: { env: "prod" }, settings: null },
    openedAtMs,
    source: "127.0.0.1",
  };
}
