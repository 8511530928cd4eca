/** An SFTP conversation behind a real gate, between a client's bytes and a real SFTP server. */
import { SftpConversation } from "../adapters/ssh/sftp/conversation.ts";
import { describeSubsystem } from "../adapters/ssh/describe.ts";
import type { ClientChannel, TargetChannel } from "../adapters/ssh/channels.ts";
import { refusal, type Decision, type Refusal } from "../src/core/decision.ts";
import { NO_OBLIGATIONS, type Obligations } from "../src/core/obligation.ts";
import type { Operation } from "../src/core/operation.ts";
import type { Door, Exchange, Outcome, Permit, Policy, Sequence } from "../src/core/ports.ts";
import type { Session } from "../src/core/session.ts";
import { Gate, type Durability, type GateParts } from "../src/gate/gate.ts";
import { PermittedUpstream } from "../src/gate/upstream.ts";
import { CONFIRM, ScriptedAudit, ScriptedMeters, ScriptedRecorder, StubConnection } from "./gate-world.ts";
import { SftpServer } from "./servers/sftp-server.ts";

const LOGIN = "mcp";

const SFTP_SESSION: Session = {
  id: "S",
  identity: {
    kind: "human",
    issuer: "weir",
    subject: "ann",
    groups: [],
    proof: { method: "token", credential: "t", expiresAtMs: null },
  },
  target: { name: "files", adapter: "ssh", labels: {}, settings: null },
  openedAtMs: 0,
  source: "127.0.0.1",
};

/** A log that is durable as soon as the turn of the event loop is over. */
class PromptAudit extends ScriptedAudit {
  /** Records stay undurable until it is set back. */
  isHeld = false;

  override intent(operation: Operation, decision: Decision | "house", policy: Policy): Sequence {
    const sequence = super.intent(operation, decision, policy);
    setImmediate(() => {
      if (!this.isHeld) this.sync();
    });
    return sequence;
  }
}

/** What policy says of one operation; `true`: permitted without more. */
export type Judge = (operation: Operation) => boolean | "ask" | Obligations;

function policyOf(judge: Judge, epoch: () => number): Policy {
  const common = { rules: ["r"], observed: [] };
  return {
    get epoch() {
      return epoch();
    },
    digest: "0".repeat(64),
    commit: null,
    nextEdge: () => Infinity,
    masks: (_, accesses) => accesses.map(() => null),
    maskTransforms: (_, accesses) => accesses.map(() => []),
    mayCompare: (_, accesses) => accesses.map(() => false),
    onChange: () => {},
    pattern: () => null,
    mayConnect: () => ({ kind: "permit", ...common, obligations: NO_OBLIGATIONS }),
    decide(_session, operation): Decision {
      const verdict = judge(operation);
      if (verdict === "ask") return { kind: "ask", ...common, obligations: NO_OBLIGATIONS, requirements: [CONFIRM] };
      if (typeof verdict === "object") return { kind: "permit", ...common, obligations: verdict };
      if (verdict) return { kind: "permit", ...common, obligations: NO_OBLIGATIONS };
      return { kind: "deny", ...common, refusal: refusal("denied", "policy does not permit this", { rules: ["r"] }) };
    },
  };
}

/** All paths of an operation are these, or below them. */
export function within(...folders: readonly string[]): Judge {
  return ({ accesses, understood }) =>
    understood &&
    accesses.every(({ facts, ambient, opaque }) => {
      const { paths } = facts;
      if (ambient === true) return true;
      if (opaque === true || !Array.isArray(paths)) return false;
      return paths.every((path: string) => folders.some((folder) => path === folder || path.startsWith(`${folder}/`)));
    });
}

export type SftpWorld = {
  readonly conversation: SftpConversation;
  readonly gate: Gate;
  readonly audit: PromptAudit;
  readonly recorder: ScriptedRecorder;
  readonly meters: ScriptedMeters;
  readonly target: TargetChannel;
  readonly approvals: Map<string, (answer: "approved" | Refusal) => void>;
  readonly reports: string[];
  /** Resolves when the channel has ended; false: not all of it could be recorded. */
  readonly ended: Promise<boolean>;
  /** Policy has changed. */
  judgeAgain(): void;
  /** Texts of the operations that policy was asked about, or that were refused, with the decision's kind. */
  judged(): [string, string][];
  /** Outcomes by the text of their operation. */
  outcomes(): [string, Outcome][];
};

export type WorldOptions = {
  readonly judge?: Judge;
  readonly durability?: Durability;
  readonly gate?: Partial<GateParts>;
  /** Left out: a real server whose sessions begin in `folder`. */
  readonly target?: TargetChannel;
  readonly folder?: string;
};

/** Resolves when the conversation has begun. */
export async function startSftp(client: ClientChannel, options: WorldOptions = {}): Promise<SftpWorld> {
  const audit = new PromptAudit();
  const recorder = new ScriptedRecorder();
  const meters = new ScriptedMeters();
  const approvals: SftpWorld["approvals"] = new Map();
  const reports: string[] = [];
  const { promise: ended, resolve: hasEnded } = Promise.withResolvers<boolean>();
  let epoch = 1;
  const gate = new Gate({
    policy: policyOf(
      (operation) => operation.kind === "sftp" || (options.judge ?? (() => true))(operation),
      () => epoch,
    ),
    audit,
    durability: options.durability ?? "strict",
    authenticator: { stillValid: () => true },
    approvals: {
      ask: (operation, _asked, pending) =>
        new Promise((resolve) => {
          approvals.set(operation.text, resolve);
          pending({ operation: operation.id, requirements: [CONFIRM], where: "the console" });
        }),
    },
    meters,
    recorder,
    clock: { now: () => 0 },
    keeps: () => ["limit", "mask", "record", "session", "alert"],
    say: () => {},
    ...options.gate,
  });
  const cancelled = gate.admit(SFTP_SESSION);
  const upstream = new PermittedUpstream(new StubConnection(), SFTP_SESSION.id);
  const target = options.target ?? new SftpServer(options.folder ?? "/", (permit) => upstream.require(permit));
  const door = doorOf(gate, reports);
  const permit = await subsystemPermit(gate, door);
  const conversation = new SftpConversation({
    door,
    opened: { kind: "session", session: SFTP_SESSION, permit, cancelled },
    clock: { now: () => 0 },
    login: LOGIN,
    lane: 1,
    client,
    channel: target,
    permit,
    lines: null,
    onEnd: hasEnded,
  });
  conversation.begin();
  conversation.release();
  const isFile = ({ operation }: { operation: Operation }): boolean => operation.kind !== "sftp";
  return {
    conversation,
    gate,
    audit,
    recorder,
    meters,
    target,
    approvals,
    reports,
    ended,
    judgeAgain: () => {
      epoch++;
      gate.reviewLasting(SFTP_SESSION.id, 0);
    },
    judged: () =>
      [...audit.intents.values()]
        .filter(isFile)
        .map(({ operation, decision }) => [operation.text, decision === "house" ? "house" : decision.kind]),
    outcomes: () =>
      [...audit.intents]
        .filter(([, intent]) => isFile(intent))
        .flatMap(([sequence, { operation }]) =>
          (audit.outcomes.get(sequence) ?? []).map((outcome): [string, Outcome] => [operation.text, outcome]),
        ),
  };
}

function doorOf(gate: Gate, reports: string[]): Door {
  const never = (): never => {
    throw new Error("this door is for operations only");
  };
  return {
    authenticate: never,
    knowsKey: never,
    loginFailed: never,
    open: never,
    openHouse: never,
    dial: never,
    destinationOf: never,
    handOver: never,
    operationId: () => gate.operationId(),
    withdraw: never,
    report: (line) => void reports.push(line),
    explain: ({ event, message, detail }) => void (detail !== "" && reports.push(`${event}: ${message}: ${detail}`)),
    submit: (session, operation, exchange) => gate.submit(session, operation, exchange),
    refuse: (session, operation, no, exchange) => gate.refuse(session, operation, no, exchange),
    submitHouse: (session, operation, exchange) => gate.submitHouse(session, operation, exchange),
    masks: never,
    maskTransforms: never,
    mayCompare: never,
    onPolicyChange: () => {},
    contentMask: never,
    begun: (permit) => gate.begun(permit),
    spend: (permit, rows, bytes) => gate.spend(permit, rows, bytes),
    recording: (permit) => gate.recording(permit),
    finish: (permit, outcome) => gate.finish(permit, outcome),
    close: never,
  };
}

async function subsystemPermit(gate: Gate, door: Door): Promise<Permit> {
  return new Promise((resolve, reject) => {
    let started: Permit | null = null;
    const exchange: Exchange = {
      start: (permit) => {
        started = permit;
      },
      release: () => {
        if (started !== null) resolve(started);
      },
      pending: () => {},
      refuse: (no) => reject(new Error(no.message)),
      cancel: () => {},
    };
    gate.submit(
      SFTP_SESSION,
      {
        id: door.operationId(),
        session: SFTP_SESSION,
        kind: "sftp",
        accesses: describeSubsystem(LOGIN, "sftp").accesses,
        understood: true,
        text: "sftp",
        textSha256: null,
        catalogDigest: null,
        lane: 1,
        lasts: true,
      },
      exchange,
    );
  });
}
