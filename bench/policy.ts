/** Measures the policy engine: decisions per second and their p99 at 10 to 10,000 rules, loading, and deciding records again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { POSTGRES_VOCABULARY } from "../adapters/postgres/vocabulary.ts";
import type { Identity } from "../src/core/identity.ts";
import type { Access, Operation } from "../src/core/operation.ts";
import type { Session } from "../src/core/session.ts";
import { Backtest } from "../src/policy/compare/backtest.ts";
import { decide } from "../src/policy/engine/decide.ts";
import { RuleIndex } from "../src/policy/engine/index.ts";
import { loadPolicies } from "../src/policy/load.ts";
import type { LoadedSet } from "../src/policy/load.ts";
import { formatProblem, hasErrors } from "../src/policy/problems.ts";
import { writeSet } from "./policy/rules.ts";
import type { Selectivity } from "./policy/rules.ts";

const ROUNDS = 5;
const DECISIONS_PER_ROUND = 100_000;
/** Decisions that are timed one by one, for the p99; the clock itself costs some of it. */
const TIMED = 50_000;
const LOADS = 5;
const RECORDS = 300_000;
const SESSIONS_RECORDED = 500;
const NOW = Date.UTC(2027, 0, 1, 12);

/** Half of them join two tables; of sixteen, one deletes and two read what no rule permits. */
function operationsFor(session: Session, rules: number): readonly Operation[] {
  const on = (relation: string, verb = "select"): Access => ({
    class: verb === "select" ? "read" : "write",
    facts: {
      databases: ["shop"],
      verbs: [verb],
      relations: [relation],
      columns: [`${relation}.id`, `${relation}.name`],
      ...(verb === "delete" ? { unfiltered: false } : {}),
    },
  });
  const firstOf = (index: number): Access => {
    const table = (index * 5) % rules;
    if (index % 8 === 3) return on(`hidden.table${table}`);
    return index % 16 === 7 ? on("public.table10", "delete") : on(`public.table${table}`);
  };
  return Array.from({ length: 64 }, (_, index) => ({
    id: `op-${index}`,
    session,
    kind: "query",
    accesses: [firstOf(index), ...(index % 2 === 0 ? [on(`shop${(index * 5) % rules}.lines`)] : [])],
    understood: true,
    text: "",
    textSha256: null,
    catalogDigest: null,
  }));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Loads the set some times; the first one pays for code that is not warm yet, and is told apart. */
async function load(dir: string, targets: Parameters<typeof loadPolicies>[2]) {
  const timesMs: number[] = [];
  const first = performance.now();
  let loaded = await loadPolicies(dir, [POSTGRES_VOCABULARY], targets);
  const firstMs = performance.now() - first;
  for (let at = 0; at < LOADS; at++) {
    const start = performance.now();
    loaded = await loadPolicies(dir, [POSTGRES_VOCABULARY], targets);
    timesMs.push(performance.now() - start);
  }
  if (hasErrors(loaded.problems)) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return { loaded, firstMs, loadMs: median(timesMs) };
}

function p99Us(index: RuleIndex, session: Session, operations: readonly Operation[]): number {
  const timesNs = new Float64Array(TIMED);
  for (let at = 0; at < TIMED; at++) {
    const operation = operations[at % operations.length];
    if (operation === undefined) continue;
    const start = Bun.nanoseconds();
    decide(index, session, operation, NOW);
    timesNs[at] = Bun.nanoseconds() - start;
  }
  return (timesNs.toSorted()[Math.floor(TIMED * 0.99)] ?? Number.NaN) / 1000;
}

/** Decides records again under the same set but for one guard: many sessions, each with the same few statements. */
function backtest(set: LoadedSet, session: Session, operations: readonly Operation[]): void {
  const less: LoadedSet = { ...set, rules: set.rules.filter(({ id }) => id !== "guard-9") };
  const sessions = Array.from({ length: SESSIONS_RECORDED }, (_, at): Session => {
    const identity = { ...session.identity, subject: `bot${at % 20}` };
    return { ...session, id: `s${at}`, identity };
  });
  const records = sessions.flatMap((within) => operations.map((operation) => ({ ...operation, session: within })));
  const start = performance.now();
  const run = new Backtest({ set, targets: [session.target] }, { set: less, targets: [session.target] }, [
    POSTGRES_VOCABULARY,
  ]);
  for (let at = 0; at < RECORDS; at++) {
    const operation = records[at % records.length];
    if (operation !== undefined) run.add({ operation, isConnect: false, timeMs: NOW + at });
  }
  const seconds = (performance.now() - start) / 1000;
  const perSecond = Math.round(RECORDS / seconds).toLocaleString("en");
  console.log(`        backtest ${perSecond} records/s, ${run.counts.changed} of ${run.counts.operations} changed`);
}

async function measure(rules: number, selectivity: Selectivity): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "weir-bench-policy-"));
  try {
    const targets = writeSet(dir, rules, selectivity);
    const { loaded, firstMs, loadMs } = await load(dir, targets);
    const index = new RuleIndex(loaded.rules, [POSTGRES_VOCABULARY], loaded.author.patterns);
    const [target] = targets;
    if (target === undefined) throw new Error("the bench has no target");
    const proof = { method: "token", credential: "t", expiresAtMs: null } as const;
    const groups = ["g0", "g1", "g2", "g3", "g5"];
    const identity: Identity = { kind: "agent", issuer: "weir", subject: "bot", groups, owner: "eva", proof };
    const session: Session = { id: "s", identity, target, openedAtMs: NOW, source: "127.0.0.1" };
    const operations = operationsFor(session, selectivity === "flat" ? rules : 20);
    const roundsMs: number[] = [];
    const kinds = { permit: 0, ask: 0, deny: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const start = performance.now();
      for (let at = 0; at < DECISIONS_PER_ROUND; at++) {
        const operation = operations[at % operations.length];
        if (operation !== undefined) kinds[decide(index, session, operation, NOW).kind]++;
      }
      roundsMs.push(performance.now() - start);
    }
    const us = (median(roundsMs) * 1000) / DECISIONS_PER_ROUND;
    const share = (count: number): string => `${Math.round((100 * count) / (ROUNDS * DECISIONS_PER_ROUND))}%`;
    const perSecond = Math.round(1_000_000 / us).toLocaleString("en");
    console.log(
      `${String(rules).padStart(6)} rules  ${selectivity.padEnd(9)}  ${us.toFixed(2).padStart(7)} us/decision  ` +
        `${perSecond.padStart(9)}/s  p99 ${p99Us(index, session, operations).toFixed(1).padStart(6)} us  ` +
        `permit ${share(kinds.permit)} ask ${share(kinds.ask)} deny ${share(kinds.deny)}  loaded in ${loadMs.toFixed(0)} ms (first ${firstMs.toFixed(0)})`,
    );
    if (selectivity === "realistic" && rules === 1000) backtest(loaded, session, operations);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

for (const selectivity of ["realistic", "flat"] as const) {
  for (const rules of [10, 100, 1000, 10_000]) await measure(rules, selectivity);
}
