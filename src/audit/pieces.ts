/** The parts of a leaf that many operations share, as canonical JSON: who asks, what was asked for, what was decided. */
import type { Decision } from "../core/decision.ts";
import { type Access, type Operation, UNKNOWN } from "../core/operation.ts";
import type { Policy } from "../core/ports.ts";
import type { Session } from "../core/session.ts";
import { canonicalJson, type Json, type JsonObject } from "./canonical.ts";
import { sha256Hex } from "./sha256.ts";

/** Together with the rest of a leaf these stay below the 65,535 bytes that a leaf may have. */
export const SESSION_BYTES_MAX = 20 * 1024;
export const STATEMENT_BYTES_MAX = 30 * 1024;
export const DECISION_BYTES_MAX = 10 * 1024;
export const FACTS_BYTES_MAX = 48 * 1024;

/** How much of a list and of a string is kept once a part is too large, the most generous first. */
const CUTS: readonly Cut[] = [
  { namesMax: 64, unitsMax: 256 },
  { namesMax: 16, unitsMax: 128 },
  { namesMax: 4, unitsMax: 64 },
  { namesMax: 0, unitsMax: 64 },
];
type Cut = { readonly namesMax: number; readonly unitsMax: number };
const TIGHT: Cut = { namesMax: 16, unitsMax: 64 };
const KEYS_MAX = 64;
/** How many of each list of rules are kept once a decision is too large. */
const RULES_MAX = 8;

/** The members `session`, `subject` and `target` of a leaf, without braces around them. */
export function sessionPiece(session: Session): string {
  const { identity, target } = session;
  const write = (cut: Cut | null): string => {
    const text = (value: string): string => (cut === null ? value : shorten(value, cut.unitsMax));
    const groups = cut === null ? identity.groups : identity.groups.slice(0, cut.namesMax).map(text);
    const labels = Object.entries(target.labels);
    const kept =
      cut === null
        ? labels
        : labels.slice(0, cut.namesMax / 2).map(([key, value]) => [text(key), text(value)] as const);
    const whole = canonicalJson({
      session: {
        id: text(session.id),
        openedAtMs: session.openedAtMs,
        source: text(session.source),
        through:
          session.through === undefined
            ? undefined
            : { operation: text(session.through.operation), session: text(session.through.session) },
      },
      subject: {
        groups,
        issuer: text(identity.issuer),
        kind: identity.kind,
        name: text(identity.subject),
        owner: identity.owner === undefined ? undefined : text(identity.owner),
        proof: {
          credential: text(identity.proof.credential),
          expiresAtMs: identity.proof.expiresAtMs,
          method: identity.proof.method,
        },
        truncated: cut === null ? undefined : { groups: identity.groups.length },
      },
      target: {
        labels: Object.fromEntries(kept),
        name: text(target.name),
        truncated: cut === null ? undefined : { labels: labels.length },
      },
    });
    return whole.slice(1, -1);
  };
  const full = write(null);
  return fits(full, SESSION_BYTES_MAX) ? full : write(TIGHT);
}

/** The member `operation` of a leaf: what was asked for, with the facts that policy saw. */
export function statementPiece(operation: Operation): string {
  const all: Json = operation.accesses.map((access) => accessJson(access, null));
  const full = statementJson(operation, all, undefined);
  if (fits(full, STATEMENT_BYTES_MAX)) return full;
  const bytes = Buffer.from(canonicalJson(all));
  const truncated = {
    accesses: operation.accesses.length,
    bytes: bytes.length,
    sha256: sha256Hex(bytes),
  };
  const kept: Json[] = [];
  let left = STATEMENT_BYTES_MAX - byteLength(statementJson(operation, [], truncated));
  for (const access of operation.accesses) {
    const short = accessThatFits(access, left - 1);
    if (short === null) break;
    kept.push(short.json);
    left -= short.sizeBytes + 1;
  }
  return statementJson(operation, kept, truncated);
}

function statementJson(operation: Operation, accesses: Json, truncated: Json | undefined): string {
  return canonicalJson({
    accesses,
    adapter: shorten(operation.session.target.adapter, 64),
    catalog: operation.catalogDigest === null ? null : shorten(operation.catalogDigest, 128),
    kind: shorten(operation.kind, 64),
    truncated,
    understood: operation.understood,
  });
}

function accessThatFits(access: Access, bytesMax: number): { json: Json; sizeBytes: number } | null {
  for (const cut of [null, ...CUTS]) {
    const json = accessJson(access, cut);
    const sizeBytes = byteLength(canonicalJson(json));
    if (sizeBytes <= bytesMax) return { json, sizeBytes };
  }
  return null;
}

function accessJson(access: Access, cut: Cut | null): Json {
  const entries = Object.entries(access.facts);
  const facts: [string, Json][] = [];
  const truncated: [string, Json][] = [];
  if (cut !== null && entries.length > KEYS_MAX) truncated.push(["facts", entries.length]);
  for (const [key, value] of cut === null ? entries : entries.slice(0, KEYS_MAX)) {
    if (value === UNKNOWN) facts.push([key, null]);
    else if (typeof value === "boolean" || cut === null) facts.push([key, value]);
    else {
      facts.push([key, value.slice(0, cut.namesMax).map((name) => shorten(name, cut.unitsMax))]);
      truncated.push([key, value.length]);
    }
  }
  return {
    ambient: access.ambient,
    class: access.class,
    facts: Object.fromEntries(facts),
    named: access.named,
    opaque: access.opaque,
    truncated: cut === null ? undefined : Object.fromEntries(truncated),
  };
}

/** The member `decision` of a leaf: what was decided, by which rules of which policy. */
export function decisionPiece(decision: Decision | "house", policy: Policy): string {
  const digest = {
    commit: policy.commit === null ? null : shorten(policy.commit, 128),
    digest: shorten(policy.digest, 128),
  };
  if (decision === "house") return canonicalJson({ kind: "house", policy: digest });
  const obligations: JsonObject = decision.kind === "deny" ? {} : decision.obligations;
  const requirements =
    decision.kind === "ask" ? decision.requirements.map(({ kind, rules }) => ({ kind, rules })) : undefined;
  const observed = decision.observed.length === 0 ? undefined : decision.observed;
  const fixed = {
    kind: decision.kind,
    policy: digest,
    refusal: decision.kind === "deny" ? decision.refusal.code : undefined,
  };
  const full = canonicalJson({
    ...fixed,
    obligations: Object.keys(obligations).length === 0 ? undefined : obligations,
    observed,
    requirements,
    rules: decision.rules,
  });
  if (fits(full, DECISION_BYTES_MAX)) return full;
  return canonicalJson({
    ...fixed,
    obligations: Object.keys(obligations).length === 0 ? undefined : Object.keys(obligations),
    observed: observed === undefined ? undefined : fewRules(observed),
    requirements: requirements?.slice(0, 4).map(({ kind, rules }) => ({ kind, rules: fewRules(rules.slice(0, 1)) })),
    rules: fewRules(decision.rules),
    truncated: {
      bytes: byteLength(full),
      observed: observed?.length,
      rules: decision.rules.length,
      sha256: sha256Hex(full),
    },
  });
}

function fewRules(rules: readonly string[]): readonly string[] {
  return rules.slice(0, RULES_MAX).map((rule) => shorten(rule, TIGHT.unitsMax));
}

/** Facts of an event, as the record keeps them. */
export type EventFacts = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** The member `facts` of a leaf and, when it was too large to keep, `truncated`, without braces around them. */
export function factsPiece(facts: EventFacts): { facts: string; truncated: string } {
  const full = canonicalJson(facts);
  if (fits(full, FACTS_BYTES_MAX)) return { facts: full, truncated: "" };
  const kept = Object.keys(facts)
    .toSorted()
    .slice(0, KEYS_MAX)
    .map((key) => [shorten(key, 64), shortFact(facts[key] ?? null)] as const);
  const truncated = { bytes: byteLength(full), facts: Object.keys(facts).length, sha256: sha256Hex(full) };
  return { facts: canonicalJson(Object.fromEntries(kept)), truncated: canonicalJson(truncated) };
}

function shortFact(value: EventFacts[string]): Json {
  if (typeof value === "string") return shorten(value, TIGHT.unitsMax);
  if (typeof value !== "object" || value === null) return value;
  return value.slice(0, 1).map((item) => shorten(item, TIGHT.unitsMax));
}

/** The first units of a text and a mark; the same text when it is short. */
function shorten(text: string, unitsMax: number): string {
  return text.length <= unitsMax ? text : text.slice(0, unitsMax) + "…";
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

function fits(text: string, bytesMax: number): boolean {
  return text.length <= bytesMax && (text.length * 3 <= bytesMax || byteLength(text) <= bytesMax);
}
