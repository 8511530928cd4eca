/** A gate among fakes that do as they are told: a log, meters, people, a target, and exchanges that note what they hear. */
import { NO_RULES, refusal, type Decision, type Refusal } from "../src/core/decision.ts";
import { type Meter, NO_OBLIGATIONS, type Obligations, type Requirement } from "../src/core/obligation.ts";
import type { Operation } from "../src/core/operation.ts";
import {
  AuditUnavailable,
  type Audit,
  type Connection,
  type EventKind,
  type Exchange,
  type Meters,
  type Outcome,
  type Permit,
  type Policy,
  type Sequence,
  type Spending,
} from "../src/core/ports.ts";
import {
  RecordingFailed,
  type Recorder,
  type RecordingKind,
  type RecordingStream,
  type SessionRecording,
  type TerminalLine,
  type TranscriptLine,
} from "../src/core/recording.ts";
import type { Session } from "../src/core/session.ts";
import { Gate, type Durability, type GateParts } from "../src/gate/gate.ts";
import { PermitRequired } from "../src/gate/permit.ts";
import { PermittedUpstream } from "../src/gate/upstream.ts";

/** A log that becomes durable, fails and recovers when told to. The real one cannot be made to fail at a chosen record. */
export class ScriptedAudit implements Audit {
  durable: Sequence = 0;
  handedOver: Sequence = 0;
  lagMs = 0;
  failure: Error | null = null;
  readonly intents = new Map<Sequence, { operation: Operation; decision: Decision | "house"; digest: string }>();
  readonly outcomes = new Map<Sequence, Outcome[]>();
  readonly events: [EventKind, Readonly<Record<string, unknown>>][] = [];
  readonly forgotten: string[] = [];
  #progress: () => void = () => {};

  intent(operation: Operation, decision: Decision | "house", { digest }: Policy): Sequence {
    this.#check();
    this.intents.set(++this.handedOver, { operation, decision, digest });
    return this.handedOver;
  }

  outcome(intent: Sequence, outcome: Outcome): Sequence {
    this.#check();
    this.outcomes.set(intent, [...(this.outcomes.get(intent) ?? []), outcome]);
    return ++this.handedOver;
  }

  event(kind: EventKind, facts: Readonly<Record<string, unknown>>): Sequence {
    this.#check();
    this.events.push([kind, facts]);
    return ++this.handedOver;
  }

  onProgress(callback: () => void): void {
    this.#progress = callback;
  }

  forget(session: string): void {
    this.forgotten.push(session);
  }

  sync(): void {
    if (this.failure !== null) return;
    this.durable = this.handedOver;
    this.#progress();
  }

  /** Says that `durable` has grown. */
  tell(): void {
    this.#progress();
  }

  fail(): void {
    this.failure = new AuditUnavailable("the disk is full");
    this.#progress();
  }

  recover(): void {
    this.failure = null;
    this.durable = this.handedOver;
    this.#progress();
  }

  #check(): void {
    if (this.failure !== null) throw new AuditUnavailable("the disk is full");
  }
}

/** A recording that notes what it is given, and fails when told to. */
export class ScriptedRecording implements SessionRecording {
  readonly id: string;
  readonly kind: RecordingKind;
  readonly lines: [RecordingStream, TranscriptLine | TerminalLine][] = [];
  failure: RecordingFailed | null = null;
  ends = 0;
  isStalled = false;
  readonly #drained = new Set<() => void>();
  readonly #onFailure: (failure: RecordingFailed) => void;

  constructor(id: string, onFailure: (failure: RecordingFailed) => void, kind: RecordingKind) {
    this.id = id;
    this.kind = kind;
    this.#onFailure = onFailure;
  }

  write(stream: RecordingStream, line: TranscriptLine | TerminalLine): boolean {
    if (this.failure !== null) throw this.failure;
    this.lines.push([stream, line]);
    return true;
  }

  onDrain(callback: () => void): () => void {
    this.#drained.add(callback);
    return () => this.#drained.delete(callback);
  }

  onStall(): () => void {
    return () => {};
  }

  /** It is being stored again. */
  drain(): void {
    this.isStalled = false;
    for (const callback of Array.from(this.#drained)) callback();
  }

  end(): void {
    this.ends++;
  }

  fail(): void {
    this.failure = new RecordingFailed("the recording of this session cannot go on", "the disk is full");
    this.#onFailure(this.failure);
  }
}

/** Recordings that begin, or cannot be begun, when told to. */
export class ScriptedRecorder implements Recorder {
  seals = true;
  readonly asked: Session[] = [];
  /** Of which operation each that was asked for is; null: of the session. */
  readonly operations: (string | null)[] = [];
  readonly made: ScriptedRecording[] = [];
  readonly #waiting: { begin(): void; refuse(error: Error): void }[] = [];

  open(
    session: Session,
    onFailure: (failure: RecordingFailed) => void,
    kind: RecordingKind,
    operation?: string,
  ): Promise<SessionRecording> {
    this.asked.push(session);
    this.operations.push(operation ?? null);
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        const recording = new ScriptedRecording(`r${this.made.length + 1}`, onFailure, kind);
        this.made.push(recording);
        resolve(recording);
      };
      this.#waiting.push({ begin, refuse: reject });
    });
  }

  /** Does somebody wait for a recording? */
  get isOpening(): boolean {
    return this.#waiting.length > 0;
  }

  async begin(): Promise<void> {
    for (const { begin } of this.#waiting.splice(0)) begin();
    await settle();
  }

  async refuse(error: Error = new RecordingFailed("nothing can be recorded now", "the disk is full")): Promise<void> {
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
    await settle();
  }
}

export type Verdict =
  | "permit"
  | "deny"
  | "ask"
  | "throws"
  | "unkept"
  | "metered"
  | "ask metered"
  | "recorded"
  | "ask recorded"
  | "sealed";

export const METERED: Obligations = {
  limit: {
    rows: 5,
    meters: [
      { id: "m/calls/session/subject", rule: "m", unit: "calls", max: 1, per: { kind: "session" }, across: "subject" },
    ],
  },
};

const UNKEPT: Obligations = {
  mask: { columns: {}, fields: {}, classifiers: {}, patterns: {}, predicates: "masked" },
};
export const RECORDED: Obligations = { record: ["input"] };
const ASKED: Readonly<Record<string, Obligations>> = { "ask metered": METERED, "ask recorded": RECORDED };

/** Meters with so many calls left, which note who holds what. */
export class ScriptedMeters implements Meters {
  left = Infinity;
  admitted = 0;
  ended = 0;
  readonly forgotten: string[] = [];
  /** Told what is counted. */
  asked: (meters: readonly Meter[]) => void = () => {};
  admit(_session: Session, meters: readonly Meter[]): Spending | Refusal {
    this.asked(meters);
    if (this.left <= 0) return refusal("limit", "nothing is left", { rules: ["m"] });
    this.left--;
    this.admitted++;
    let hasEnded = false;
    return {
      add: (rows) => (rows > 3 ? refusal("limit", "no rows are left", { rules: ["m"] }) : null),
      end: () => {
        if (!hasEnded) this.ended++;
        hasEnded = true;
      },
    };
  }
  forget(session: string): void {
    this.forgotten.push(session);
  }
}

export function policyOf(verdicts: ReadonlyMap<string, Verdict>): Policy {
  return {
    epoch: 1,
    digest: "0".repeat(64),
    commit: null,
    nextEdge: () => Infinity,
    masks: (_, accesses) => accesses.map(() => null),
    maskTransforms: (_, accesses) => accesses.map(() => []),
    mayCompare: (_, accesses) => accesses.map(() => false),
    onChange: () => {},
    pattern: () => null,
    mayConnect: () => ({ kind: "permit", rules: [], observed: NO_RULES, obligations: NO_OBLIGATIONS }),
    decide(_session, operation): Decision {
      switch (verdicts.get(operation.id)) {
        case "permit":
          return { kind: "permit", rules: ["p"], observed: NO_RULES, obligations: NO_OBLIGATIONS };
        case "unkept":
          return { kind: "permit", rules: ["p"], observed: NO_RULES, obligations: UNKEPT };
        case "metered":
          return { kind: "permit", rules: ["p"], observed: NO_RULES, obligations: METERED };
        case "recorded":
          return { kind: "permit", rules: ["p"], observed: NO_RULES, obligations: RECORDED };
        case "sealed":
          return { kind: "permit", rules: ["p"], observed: NO_RULES, obligations: { record: ["raw"] } };
        case "ask":
        case "ask metered":
        case "ask recorded":
          return {
            kind: "ask",
            rules: ["g"],
            observed: NO_RULES,
            obligations: ASKED[verdicts.get(operation.id) ?? ""] ?? NO_OBLIGATIONS,
            requirements: [CONFIRM],
          };
        case "deny":
          return { kind: "deny", rules: ["d"], observed: NO_RULES, refusal: refusal("denied", "no", { rules: ["d"] }) };
        default:
          throw new Error("a fault in policy");
      }
    },
  };
}

/** A policy that says what it is told to, and becomes another one when it is told something else. */
export class ChangingPolicy implements Policy {
  readonly #base = policyOf(new Map());
  readonly #said = new Map<string, Decision>();
  epoch = 1;
  digest = "1".padStart(64, "0");
  readonly commit = null;
  /** When time alone changes what it says. */
  edges: readonly number[] = [];
  /** How often it was asked about an operation. */
  asked = 0;
  readonly masks = this.#base.masks;
  readonly maskTransforms = this.#base.maskTransforms;
  readonly mayCompare = this.#base.mayCompare;
  readonly onChange = this.#base.onChange;
  readonly pattern = this.#base.pattern;

  constructor(said: Readonly<Record<string, Decision>> = {}) {
    for (const [id, decision] of Object.entries(said)) this.#said.set(id, decision);
  }

  /** Another set has become active, which says this of an operation. */
  change(id: string, decision: Decision): void {
    this.say(id, decision);
    this.epoch++;
    this.digest = String(this.epoch).padStart(64, "0");
  }

  /** The same set says something else: time has passed. */
  say(id: string, decision: Decision): void {
    this.#said.set(id, decision);
  }

  decide(_session: Session, { id }: Operation): Decision {
    this.asked++;
    return this.#said.get(id) ?? permitted();
  }

  mayConnect(session: Session, operation: Operation): Decision {
    return this.decide(session, operation);
  }

  nextEdge(now: number): number {
    return this.edges.find((edge) => edge > now) ?? Infinity;
  }
}

export const SESSION: Session = {
  id: "S",
  identity: {
    kind: "human",
    issuer: "weir",
    subject: "ann",
    groups: [],
    proof: { method: "token", credential: "t", expiresAtMs: null },
  },
  target: { name: "db", adapter: "postgres", labels: {}, settings: null },
  openedAtMs: 0,
  source: "127.0.0.1",
};

export function operationOf(id: string, isRead: boolean, more: Partial<Operation> = {}): Operation {
  return {
    id,
    session: SESSION,
    kind: "query",
    accesses: [{ class: isRead ? "read" : "write", facts: {} }],
    understood: true,
    text: id,
    textSha256: null,
    catalogDigest: null,
    ...more,
  };
}

/** A target that counts what reaches it. */
export class StubConnection implements Connection {
  readonly address = "stub";
  readonly isLoopback = true;
  readonly received: string[] = [];
  failsNextWrite = false;
  write(bytes: Uint8Array): boolean {
    if (this.failsNextWrite) throw new Error("the connection is gone");
    this.received.push(new TextDecoder().decode(bytes));
    return true;
  }
  writePart(bytes: Uint8Array, start: number, end: number): boolean {
    return this.write(bytes.subarray(start, end));
  }
  onData(): void {}
  onDrain(): void {}
  onClose(): void {}
  pause(): void {}
  resume(): void {}
  startTls(): Promise<never> {
    return Promise.reject(new Error("not here"));
  }
  close(): void {}
}

export type Seen = {
  started: number;
  released: number;
  refused: Refusal[];
  cancelled: number;
  pending: number;
  reason: Refusal | null;
  permit: Permit | null;
};

/** An adapter's half that writes the operation's id when it is started, and notes what it is told. */
export class RecordingExchange implements Exchange {
  readonly seen: Seen = { started: 0, released: 0, refused: [], cancelled: 0, pending: 0, reason: null, permit: null };
  readonly #id: string;
  readonly #upstream: PermittedUpstream;
  readonly #order: string[];

  constructor(id: string, upstream: PermittedUpstream, order: string[]) {
    this.#id = id;
    this.#upstream = upstream;
    this.#order = order;
  }

  start(permit: Permit): void {
    this.seen.started++;
    this.seen.permit = permit;
    this.#order.push(this.#id);
    try {
      this.#upstream.write(permit, new TextEncoder().encode(this.#id));
    } catch (error) {
      if (error instanceof PermitRequired) throw error;
    }
  }

  release(): void {
    this.seen.released++;
  }

  pending(): void {
    this.seen.pending++;
  }

  refuse(no: Refusal, permit: Permit | null): void {
    this.seen.refused.push(no);
    this.seen.permit = permit;
    this.#order.push(this.#id);
  }

  cancel(reason: Refusal): void {
    this.seen.cancelled++;
    this.seen.reason = reason;
  }
}

export type World = {
  readonly gate: Gate;
  readonly audit: ScriptedAudit;
  readonly target: StubConnection;
  readonly upstream: PermittedUpstream;
  readonly order: string[];
  readonly approvals: Map<string, (answer: "approved" | Refusal) => void>;
  readonly meters: ScriptedMeters;
  readonly recorder: ScriptedRecorder;
  /** Fires when the session is ended from outside. */
  readonly cancelled: AbortSignal;
};

export function worldOf(
  durability: Durability,
  verdicts: ReadonlyMap<string, Verdict>,
  more: Partial<GateParts> = {},
): World {
  const meters = new ScriptedMeters();
  const recorder = new ScriptedRecorder();
  const audit = new ScriptedAudit();
  const target = new StubConnection();
  const approvals: World["approvals"] = new Map();
  const gate = new Gate({
    policy: policyOf(verdicts),
    audit,
    durability,
    authenticator: { stillValid: () => true },
    approvals: { ask: (operation) => new Promise((resolve) => approvals.set(operation.id, resolve)) },
    meters,
    recorder,
    clock: { now: () => 0 },
    keeps: () => ["limit", "session", "alert"],
    say: () => {},
    ...more,
  });
  const cancelled = gate.admit(SESSION);
  const upstream = new PermittedUpstream(target, SESSION.id);
  return { gate, audit, target, upstream, order: [], approvals, meters, recorder, cancelled };
}

export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const permitted = (obligations: Obligations = NO_OBLIGATIONS): Extract<Decision, { kind: "permit" }> => ({
  kind: "permit",
  rules: ["p"],
  observed: ["o"],
  obligations,
});

/** Submits an operation to what policy says of it, and answers with what became of it. */
export function submit(
  { gate, upstream, order }: World,
  id: string,
  isRead = false,
  more: Partial<Operation> = {},
): Seen {
  const exchange = new RecordingExchange(id, upstream, order);
  gate.submit(SESSION, operationOf(id, isRead, more), exchange);
  return exchange.seen;
}

export function decisionOn({ audit }: World, id: string): Decision | "house" | undefined {
  return [...audit.intents.values()].find(({ operation }) => operation.id === id)?.decision;
}

export function outcomesOf({ audit }: World): Record<string, string[]> {
  return Object.fromEntries(
    [...audit.intents].map(([sequence, { operation }]) => [
      operation.id,
      (audit.outcomes.get(sequence) ?? []).map(({ status }) => status),
    ]),
  );
}

export function permitOf(seen: Seen): Permit {
  if (seen.permit === null) throw new Error("it has no permit");
  return seen.permit;
}

/** A requirement that somebody confirm. */
export const CONFIRM: Requirement = { kind: "confirm", rules: ["g"], by: "owner" };

/** An ask for what is required; for a confirmation when nothing is said. */
export function askedFor(
  obligations: Obligations = NO_OBLIGATIONS,
  requirements: readonly [Requirement, ...Requirement[]] = [CONFIRM],
): Extract<Decision, { kind: "ask" }> {
  return { kind: "ask", rules: ["g"], observed: NO_RULES, obligations, requirements };
}

export function deniedBy(rule: string): Extract<Decision, { kind: "deny" }> {
  return { kind: "deny", rules: [rule], observed: NO_RULES, refusal: refusal("denied", "no", { rules: [rule] }) };
}
