/** Sessions, operations and decisions for tests of the log. */
import type { Decision } from "../../src/core/decision.ts";
import type { Accesses, Operation } from "../../src/core/operation.ts";
import type { Policy } from "../../src/core/ports.ts";
import type { Session } from "../../src/core/session.ts";

export const PERMIT: Decision = { kind: "permit", rules: ["shop/agents-read"], observed: [], obligations: {} };
export const DENY: Decision = {
  kind: "deny",
  rules: ["shop/no-payroll"],
  observed: [],
  refusal: {
    kind: "refusal",
    code: "denied",
    message: "not for agents",
    hint: "",
    detail: "",
    rules: ["shop/no-payroll"],
    event: "",
  },
};

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

const ACCESSES: Accesses = [
  { class: "read", facts: { verb: ["select"], relation: ["public.orders"], unfiltered: false } },
];

export function sampleSession(n: number): Session {
  return {
    id: `session-${n}`,
    identity: {
      kind: "agent",
      issuer: "weir",
      subject: `agent-${n}`,
      groups: ["agents"],
      owner: "ann",
      proof: { method: "token", credential: `tok-${n}`, expiresAtMs: null },
    },
    target: { name: `orders-${n}`, adapter: "postgres", labels: { env: "prod" }, settings: null },
    openedAtMs: 1_760_000_000_000,
    source: "127.0.0.1",
  };
}

export function sampleOperation(id: string, more: Partial<Operation> = {}): Operation {
  return {
    id,
    session: sampleSession(1),
    kind: "query",
    accesses: ACCESSES,
    understood: true,
    text: "SELECT 1",
    textSha256: null,
    catalogDigest: null,
    ...more,
  };
}
