/** Operations out of the log in the form in which policy judged them, so that they can be judged again. */
import * as v from "valibot";
import { ACCESS_CLASSES, UNKNOWN } from "../core/operation.ts";
import type { Access, Facts, Operation } from "../core/operation.ts";
import type { Session, TimeMs } from "../core/session.ts";
import { messageOf } from "../core/message-of.ts";

/** What was recorded of one operation that a client asked for. */
export type RecordedOperation = {
  /** The entry's place in the log. */
  readonly index: number;
  /** When it was decided. */
  readonly timeMs: TimeMs;
  /** Its text is empty: the log has the text's hash only. */
  readonly operation: Operation;
  /** It was the opening of a session, which policy is asked about in its own way. */
  readonly isConnect: boolean;
  readonly decision: RecordedDecision;
  /** What policy saw of it and the log does not have, because it was too large to keep; null: all is there. */
  readonly missing: string | null;
};

export type RecordedDecision = {
  readonly kind: "permit" | "ask" | "deny";
  readonly rules: readonly string[];
  /** The refusal's code, when it denies. */
  readonly refusal: string | null;
  /** The set that decided it. */
  readonly digest: string;
  readonly commit: string | null;
};

/** Different statements, sessions and decisions that are remembered; beyond it all are forgotten. */
const SHARED_MAX = 50_000;
const CONNECT = "connect";

const lists = v.array(v.string());
/** Says that the part beside it was cut. */
const truncated = v.optional(v.unknown());

const decisionSchema = v.object({
  kind: v.picklist(["permit", "ask", "deny"]),
  policy: v.object({ commit: v.nullable(v.string()), digest: v.string() }),
  refusal: v.optional(v.string()),
  rules: v.optional(lists, []),
});
const statementSchema = v.object({
  accesses: v.tupleWithRest([v.looseObject({})], v.looseObject({})),
  adapter: v.string(),
  catalog: v.nullable(v.string()),
  kind: v.string(),
  truncated,
  understood: v.boolean(),
});
const accessSchema = v.object({
  ambient: v.optional(v.literal(true)),
  class: v.picklist(ACCESS_CLASSES),
  facts: v.record(v.string(), v.nullable(v.union([v.boolean(), lists]))),
  named: v.optional(lists),
  opaque: v.optional(v.literal(true)),
});
const whoSchema = v.object({
  session: v.object({
    id: v.string(),
    openedAtMs: v.number(),
    source: v.string(),
    through: v.optional(v.object({ operation: v.string(), session: v.string() })),
  }),
  subject: v.object({
    groups: lists,
    issuer: v.string(),
    kind: v.picklist(["human", "agent", "service"]),
    name: v.string(),
    owner: v.optional(v.string()),
    proof: v.object({ credential: v.string(), expiresAtMs: v.nullable(v.number()), method: v.literal("token") }),
    truncated,
  }),
  target: v.object({ labels: v.record(v.string(), v.string()), name: v.string(), truncated }),
});

type Asked = Pick<Operation, "accesses" | "understood" | "kind" | "catalogDigest"> & {
  readonly missing: string | null;
};
type Who = { readonly session: Session; readonly missing: string | null };

/** Parts that many entries share, read and checked once: equal parts are the same object. */
class Shared<T> {
  readonly #known = new Map<string, T>();
  readonly #read: (json: string) => T;

  constructor(read: (json: string) => T) {
    this.#read = read;
  }

  of(json: string): T {
    let known = this.#known.get(json);
    if (known === undefined) {
      known = this.#read(json);
      if (this.#known.size >= SHARED_MAX) this.#known.clear();
      this.#known.set(json, known);
    }
    return known;
  }
}

/** Reads leaves one after the other; what is equal in them is one object, so that work can be kept by it. */
export class RecordedOperations {
  readonly #asked = new Shared(readAsked);
  readonly #who = new Shared(readWho);
  readonly #decisions = new Shared(readDecision);

  /** Null for entries that are no operation of a client's. Throws when the leaf is not of the log's form. */
  read(leaf: Uint8Array): RecordedOperation | null {
    const json: unknown = JSON.parse(Buffer.from(leaf.buffer, leaf.byteOffset, leaf.length).toString("utf8"));
    if (!isMap(json)) throw new Error("an entry is no map");
    const { event, decision, index, id, timeMs } = json;
    if (event !== "operation.intent" && event !== "operation.refusal") return null;
    // What the gateway does on its own, policy is not asked about.
    if (isMap(decision) && decision["kind"] === "house") return null;
    if (typeof index !== "number" || typeof id !== "string" || typeof timeMs !== "number") {
      throw new Error("an operation's entry lacks its index, id or time");
    }
    try {
      const { operation, session, subject, target } = json;
      const adapter = isMap(operation) && typeof operation["adapter"] === "string" ? operation["adapter"] : "";
      const asked = this.#asked.of(JSON.stringify(operation));
      const who = this.#who.of(JSON.stringify({ adapter, who: { session, subject, target } }));
      const { missing, ...statement } = asked;
      return {
        index,
        timeMs,
        operation: { ...statement, id, session: who.session, text: "", textSha256: null },
        isConnect: asked.kind === CONNECT,
        decision: this.#decisions.of(JSON.stringify(decision)),
        missing: who.missing ?? missing,
      };
    } catch (error) {
      throw new Error(`entry ${index} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }
}

function readDecision(json: string): RecordedDecision {
  const { kind, rules, refusal, policy } = v.parse(decisionSchema, JSON.parse(json));
  return { kind, rules, refusal: refusal ?? null, digest: policy.digest, commit: policy.commit };
}

function readAsked(json: string): Asked {
  const { accesses, understood, kind, catalog, truncated: cut } = v.parse(statementSchema, JSON.parse(json));
  const [first, ...others] = accesses;
  return {
    accesses: [readAccess(first), ...others.map(readAccess)],
    understood,
    kind,
    catalogDigest: catalog,
    missing: cut === undefined ? null : "it had more accesses, or more names in them, than the log keeps",
  };
}

function readAccess(json: unknown): Access {
  const { class: accessClass, facts, named, opaque, ambient } = v.parse(accessSchema, json);
  const known: [string, Facts[string]][] = Object.entries(facts).map(([key, fact]) => [key, fact ?? UNKNOWN]);
  return {
    class: accessClass,
    facts: Object.fromEntries(known),
    ...(opaque === undefined ? {} : { opaque }),
    ...(ambient === undefined ? {} : { ambient }),
    ...(named === undefined ? {} : { named }),
  };
}

function readWho(json: string): Who {
  const { adapter, who } = v.parse(v.object({ adapter: v.string(), who: whoSchema }), JSON.parse(json));
  const { session, subject, target } = who;
  const isCut = subject.truncated !== undefined || target.truncated !== undefined;
  return {
    session: {
      id: session.id,
      identity: {
        kind: subject.kind,
        issuer: subject.issuer,
        subject: subject.name,
        groups: subject.groups,
        ...(subject.owner === undefined ? {} : { owner: subject.owner }),
        proof: subject.proof,
      },
      // Where the target is reached is not in the log; policy does not look at it.
      target: { name: target.name, adapter, labels: target.labels, settings: null },
      openedAtMs: session.openedAtMs,
      source: session.source,
      ...(session.through === undefined ? {} : { through: session.through }),
    },
    missing: isCut ? "its subject had more groups, or its target more labels, than the log keeps" : null,
  };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
