/** Measures decisions per second of the policy engine at 10, 100 and 1,000 rules, and how long a set takes to load. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { POSTGRES_VOCABULARY } from "../adapters/postgres/vocabulary.ts";
import type { Identity } from "../src/core/identity.ts";
import type { Access, Operation } from "../src/core/operation.ts";
import type { Session } from "../src/core/session.ts";
import type { Target } from "../src/core/target.ts";
import { decide } from "../src/policy/decide.ts";
import { RuleIndex } from "../src/policy/index.ts";
import { loadPolicies } from "../src/policy/load.ts";
import { formatProblem, hasErrors } from "../src/policy/problems.ts";

const ROUNDS = 5;
const DECISIONS_PER_ROUND = 200_000;
const RULES_PER_FILE = 100;
const NOW = Date.UTC(2027, 0, 1);

/**
 * realistic: a target has some 20 rules, of which a group has some. flat: every rule is about everybody and every
 * target, which is the worst for an index.
 */
type Selectivity = "realistic" | "flat";

function writeSet(dir: string, rules: number, selectivity: Selectivity): readonly Target[] {
  const targets = selectivity === "flat" ? 1 : Math.max(1, Math.round(rules / 20));
  const groups = selectivity === "flat" ? 1 : 10;
  const subject = (index: number) => `{ kinds: [agent, human], groups: [g${index % groups}] }`;
  const target = (index: number) => `{ names: [t${Math.floor(index / 20) % targets}] }`;
  const permits: string[] = [];
  const guards: string[] = [];
  for (let index = 0; index < rules; index++) {
    const relation = `public.table${index}`;
    if (index % 5 === 4) {
      guards.push(`  - id: guard-${index}
    target: ${target(index)}
    action: { postgres: { verbs: [update, delete], relations: [${relation}], unfiltered: true } }
    deny: Not here.`);
    } else {
      permits.push(`  - id: permit-${index}
    subject: ${subject(index)}
    target: ${target(index)}
    action: { postgres: { verbs: [select, insert, update], relations: [${relation}, "shop${index}.*"] } }`);
    }
  }
  mkdirSync(join(dir, "permits"), { recursive: true });
  mkdirSync(join(dir, "guards"), { recursive: true });
  const groupLines = Array.from({ length: groups }, (_, index) => `  g${index}: g${index}`).join("\n");
  writeFileSync(join(dir, "policy.yaml"), "apiVersion: weir.dev/v1\nkind: PolicySet\nname: bench\n");
  writeFileSync(join(dir, "vocabulary.yaml"), `apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups:\n${groupLines}\n`);
  writeRules(join(dir, "permits"), "Permits", permits);
  writeRules(join(dir, "guards"), "Guards", guards);
  return Array.from({ length: targets }, (_, index) => ({
    name: `t${index}`,
    adapter: "postgres",
    labels: { env: "prod" },
    settings: null,
  }));
}

function writeRules(dir: string, kind: string, rules: readonly string[]): void {
  for (let at = 0; at < rules.length; at += RULES_PER_FILE) {
    const text = rules.slice(at, at + RULES_PER_FILE).join("\n");
    writeFileSync(join(dir, `${at}.yaml`), `apiVersion: weir.dev/v1\nkind: ${kind}\nrules:\n${text}\n`);
  }
}

function operationsFor(session: Session, rules: number): readonly Operation[] {
  const read = (relation: string): Access => ({
    class: "read",
    facts: { databases: ["shop"], verbs: ["select"], relations: [relation], columns: [`${relation}.id`] },
  });
  return Array.from({ length: 64 }, (_, index) => ({
    id: `op-${index}`,
    session,
    kind: "query",
    // Half of them join two tables; some are permitted and some are not.
    accesses: [
      read(`public.table${(index * 5) % rules}`),
      ...(index % 2 === 0 ? [read(`shop${(index * 5) % rules}.lines`)] : []),
    ],
    understood: true,
    text: "",
    textSha256: null,
    catalogDigest: null,
  }));
}

async function measure(rules: number, selectivity: Selectivity): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "weir-bench-policy-"));
  try {
    const targets = writeSet(dir, rules, selectivity);
    const loadStart = performance.now();
    const loaded = await loadPolicies(dir, [POSTGRES_VOCABULARY], targets);
    const loadMs = performance.now() - loadStart;
    if (hasErrors(loaded.problems)) throw new Error(loaded.problems.map(formatProblem).join("\n"));
    const index = new RuleIndex(loaded.rules, [POSTGRES_VOCABULARY]);
    const [target] = targets;
    if (target === undefined) throw new Error("the bench has no target");
    const proof = { method: "token", credential: "t", expiresAtMs: null } as const;
    const identity: Identity = { kind: "agent", issuer: "weir", subject: "bot", groups: ["g0", "g5"], proof };
    const session: Session = { id: "s", identity, target, openedAtMs: NOW, source: "127.0.0.1" };
    const operations = operationsFor(session, selectivity === "flat" ? rules : 20);
    const rounds: number[] = [];
    let permitted = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const start = performance.now();
      for (let at = 0; at < DECISIONS_PER_ROUND; at++) {
        const operation = operations[at % operations.length];
        if (operation !== undefined && decide(index, session, operation, NOW).kind === "permit") permitted++;
      }
      rounds.push(performance.now() - start);
    }
    const medianMs = rounds.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
    const us = (medianMs * 1000) / DECISIONS_PER_ROUND;
    const share = Math.round((100 * permitted) / (ROUNDS * DECISIONS_PER_ROUND));
    console.log(
      `${String(rules).padStart(6)} rules  ${selectivity.padEnd(9)}  ${us.toFixed(2).padStart(7)} us/decision  ` +
        `${Math.round(1_000_000 / us)
          .toLocaleString("en")
          .padStart(10)}/s  ${share}% permitted  loaded in ${loadMs.toFixed(0)} ms`,
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

for (const selectivity of ["realistic", "flat"] as const) {
  for (const rules of [10, 100, 1000]) await measure(rules, selectivity);
}
