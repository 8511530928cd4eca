/** A log of many operations in memory's reach, and a naive search over it: what the search index is compared with. */
import type { Decision } from "../src/core/decision.ts";
import { refusal } from "../src/core/decision.ts";
import { AuditLog } from "../src/audit/audit.ts";
import { type Leaf as LogLeaf, readLeaf } from "../src/audit/entry.ts";
import type { SearchFilter } from "../src/audit/search/search.ts";
import { LogSource } from "../src/audit/search/source.ts";
import { POLICY, sampleOperation, sampleSession } from "./fault/audit-sample.ts";

export const START_MS = 1_760_000_000_000;
const TABLES = ["public.orders", "public.order_items", "shop.customers", "shop.Käufe", "audit.events_2026"];
export const RULES = ["shop/agents-read", "shop/no-pii", "ops/all"];
const FACTS = {
  subject: "agent-1",
  issuer: "weir",
  target: "orders-1",
  reason: "no token of that name",
  code: "denied",
};

/** One entry as the tests see it: from its JSON alone. */
export type Leaf = {
  readonly event: string;
  readonly timeMs: number;
  readonly id: string | null;
  readonly session: string | null;
  /** The session and the forward that its own session came through. */
  readonly through: readonly string[];
  readonly subject: string | null;
  readonly issuer: string | null;
  readonly target: string | null;
  readonly decision: string | null;
  readonly refusal: string | null;
  readonly status: string | null;
  readonly rules: readonly string[];
  readonly text: string;
};

function decision(n: number): Decision | "house" {
  if (n % 17 === 0) return "house";
  const rules = RULES.filter((_, at) => (n >> at) % 3 === 0);
  if (n % 5 === 0) return { kind: "deny", rules, observed: [], refusal: refusal("denied", "no") };
  return { kind: "permit", rules, observed: [], obligations: {} };
}

/** Makes a log of operations and events whose times jump back now and then, over more than two stretches. */
export async function makeLog(at: string, operations: number): Promise<void> {
  let now = START_MS;
  const log = await AuditLog.open({ folder: at, origin: "log.test", clock: { now: () => now } });
  const seen: { intent: number; refused: boolean }[] = [];
  for (let n = 0; n < operations; n++) {
    now += n % 4001 === 4000 ? -500_000 : n % 7;
    const group = Math.floor(n / 400);
    // Some came through a forward of another: two forwards of one session here and there.
    const through = n % 6 < 4 ? {} : { through: { session: `session-${group}-0`, operation: `forward-${n % 6}` } };
    const session = { ...sampleSession(n % 6), id: `session-${group}-${n % 6}`, ...through };
    const table = TABLES[(n * 7 + Math.floor(n / 3000)) % TABLES.length] ?? "";
    const facts = { verb: [n % 3 === 0 ? "update" : "select"], relation: [table], column: [`${table}.id`] };
    const given = decision(n);
    const intent = log.intent(
      sampleOperation(`op-${n}`, { session, accesses: [{ class: n % 3 === 0 ? "write" : "read", facts }] }),
      given,
      POLICY,
    );
    // Some outcomes come at once and share their intent's entry, others much later.
    const one = { intent, refused: given !== "house" && given.kind === "deny" };
    if (n % 3 === 0) end(log, [one]);
    else seen.push(one);
    if (n % 911 === 0) log.event("session.refused", { ...FACTS, rules: [RULES[n % 3] ?? ""], id: `ev-${n}` });
    if (n % 1000 === 0) {
      await log.waitDurable(log.handedOver);
      end(log, seen.splice(0));
    }
  }
  end(log, seen);
  await log.close();
}

function end(log: AuditLog, intents: readonly { intent: number; refused: boolean }[]): void {
  for (const { intent, refused } of intents) {
    if (refused) log.outcome(intent, { status: "refused" });
    else if (intent % 4 === 0) log.outcome(intent, { status: "failed", code: "42P01" });
    else log.outcome(intent, { status: "done", rows: intent % 9, bytes: 100 });
  }
}

/** Reads all entries of a log. */
export function readLeaves(at: string): Leaf[] {
  const source = LogSource.open(at);
  const read: Leaf[] = [];
  for (const page of source.pages(0, source.size)) {
    for (const bytes of page) read.push(readOne(readLeaf(bytes, read.length), read));
  }
  source.close();
  return read;
}

function readOne(leaf: LogLeaf, before: readonly Leaf[]): Leaf {
  const { event, timeMs } = leaf;
  if (leaf.shape === "outcome") {
    const intent = before[leaf.intent ?? -1];
    if (intent === undefined) throw new Error("an outcome without its intent");
    const { status, code } = leaf.outcome;
    return { ...intent, event, timeMs, id: leaf.id, status, text: `${intent.text} ${status} ${code ?? ""}` };
  }
  if (leaf.shape === "event") {
    const { facts } = leaf;
    const textOf = (name: string): string | null => (typeof facts[name] === "string" ? facts[name] : null);
    const texts = Object.entries(facts).filter(([name, value]) => name !== "id" && typeof value !== "number");
    return {
      event,
      timeMs,
      id: textOf("id"),
      session: null,
      through: [],
      subject: textOf("subject"),
      issuer: textOf("issuer"),
      target: textOf("target"),
      decision: null,
      refusal: textOf("code"),
      status: null,
      rules: Array.isArray(facts["rules"]) ? facts["rules"] : [],
      text: `${event} ${texts.map(([, value]) => String(value)).join(" ")}`,
    };
  }
  const { id, subject, target, session, operation, outcome, decision: given } = leaf;
  const rules = given.rules ?? [];
  const facts = operation.accesses.flatMap((access) => [access.class, ...Object.values(access.facts).flat()]);
  const words = [operation.kind, operation.adapter, given.kind, given.refusal, ...rules, ...facts];
  const who = [subject.name, subject.owner, subject.issuer, subject.kind, subject.proof.credential, target.name];
  return {
    event,
    timeMs,
    id,
    session: session.id,
    through: session.through === undefined ? [] : [session.through.session, session.through.operation],
    subject: subject.name,
    issuer: subject.issuer,
    target: target.name,
    decision: given.kind,
    refusal: given.refusal ?? null,
    status: outcome?.status ?? null,
    rules,
    text: [event, ...words, ...who, outcome?.status, outcome?.code].join(" "),
  };
}

/** As the index should split texts: letters and digits of any language, without their case. */
function tokens(text: string): readonly string[] {
  let known = TOKENS.get(text);
  if (known === undefined) TOKENS.set(text, (known = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []));
  return known;
}

const TOKENS = new Map<string, readonly string[]>();

function hasWord(text: string, word: string): boolean {
  const isPrefix = word.endsWith("*");
  const wanted = tokens(word);
  const all = tokens(text);
  return all.some((_, at) =>
    wanted.every((part, by) => {
      const token = all[at + by] ?? "";
      return isPrefix && by === wanted.length - 1 ? token.startsWith(part) : token === part;
    }),
  );
}

/** What a reading of all entries finds. */
export function naive(leaves: readonly Leaf[], filter: SearchFilter, limit: number, isOldestFirst: boolean): number[] {
  const { words = [], sinceMs, untilMs, rule, through, ...rest } = filter;
  const found: number[] = [];
  for (const [index, leaf] of leaves.entries()) {
    if (sinceMs !== undefined && leaf.timeMs < sinceMs) continue;
    if (untilMs !== undefined && leaf.timeMs > untilMs) continue;
    if (rule !== undefined && !leaf.rules.includes(rule)) continue;
    if (through !== undefined && !leaf.through.includes(through)) continue;
    const { subject, issuer, target, event, decision: given, refusal: code, status, session } = leaf;
    const has: Record<string, string | null> = {
      subject,
      issuer,
      target,
      event,
      decision: given,
      refusal: code,
      status,
      session,
    };
    if (Object.entries(rest).some(([name, value]) => has[name] !== value)) continue;
    if (words.every((word) => hasWord(leaf.text, word))) found.push(index);
  }
  return (isOldestFirst ? found : found.toReversed()).slice(0, limit);
}
