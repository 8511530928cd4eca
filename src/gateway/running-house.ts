/** The house while it runs, as the local socket shows it and as administrators act on it there. */
import type {
  CustodyOrder,
  House,
  KillOrder,
  ListenerStatus,
  PrunedLog,
  RotatedLogKey,
  SessionView,
  Status,
  TokenView,
} from "../api/house.ts";
import { LogReader } from "../audit/query.ts";
import { refusal } from "../core/decision.ts";
import type { ClockWatch } from "../gate/clock-watch.ts";
import type { GateDoor } from "../gate/door.ts";
import { issueToken, revokeToken } from "../identity/issue.ts";
import type { TokenStore } from "../identity/token-store.ts";
import { recordUnsealing, shredRecording } from "../record/custody.ts";
import type { KeptRecorder } from "../record/recorder.ts";
import type { ActivePolicy } from "./active-policy.ts";
import type { KeptEvidence } from "./evidence.ts";
import type { Listeners } from "./listeners.ts";
import type { GatewayParts } from "./parts.ts";
import type { TargetProbes } from "./target-probes.ts";
import { isoTime, sessionView, tokenView, vouchedView } from "./views.ts";

/** Who acts here, as the log has it: whoever may open the socket is an administrator of the process. */
const LOCAL = "local socket";

/** What runs in the house. */
export type Rooms = {
  readonly evidence: KeptEvidence;
  readonly tokens: TokenStore;
  readonly policy: ActivePolicy;
  readonly clockWatch: ClockWatch;
  readonly recorder: KeptRecorder;
  readonly door: GateDoor;
  readonly listeners: Listeners;
  readonly probes: TargetProbes;
};

export class RunningHouse implements House {
  readonly #parts: GatewayParts;
  readonly #rooms: Rooms;
  readonly #startedAtMs: number;

  constructor(parts: GatewayParts, rooms: Rooms) {
    this.#parts = parts;
    this.#rooms = rooms;
    this.#startedAtMs = parts.clock.now();
  }

  get listeners(): readonly ListenerStatus[] {
    return this.#rooms.listeners.bound;
  }

  async status(): Promise<Status> {
    const { config, version, clock } = this.#parts;
    const { evidence, policy, door, clockWatch, probes } = this.#rooms;
    const { log, copies, streams } = evidence;
    return {
      name: config.name,
      version,
      pid: process.pid,
      started: isoTime(this.#startedAtMs),
      draining: door.isDraining,
      listeners: this.listeners,
      sessions: door.sessionCount,
      clockSteppedByMs: clockWatch.steppedByMs,
      targets: await probes.all(),
      policy: { digest: policy.store.digest, commit: policy.store.commit, problems: policy.news.problems },
      log: {
        durability: config.audit.durability,
        entries: await logSize(config.data),
        failure: log.audit.failure?.message ?? null,
        ...this.#vouched(),
      },
      copies: await copies.lags(clock.now()),
      streams: await streams.lags(),
    };
  }

  async confirmClock(): Promise<number | null> {
    const { clockWatch, evidence } = this.#rooms;
    const { audit } = evidence.log;
    const byMs = clockWatch.steppedByMs;
    if (byMs === null) return null;
    await audit.waitDurable(audit.event("clock.confirmed", { byMs, by: LOCAL }));
    clockWatch.confirm();
    return byMs;
  }

  async createToken(order: Parameters<House["createToken"]>[0]): ReturnType<House["createToken"]> {
    const { tokens, evidence } = this.#rooms;
    const now = this.#parts.clock.now();
    const { expiresInMs, ...rest } = order;
    const wanted = { ...rest, expiresAtMs: expiresInMs === null ? null : now + expiresInMs };
    const made = await issueToken(tokens, evidence.log.audit, wanted, LOCAL, now);
    return { token: made.text, record: tokenView(made.record) };
  }

  async listTokens(): Promise<readonly TokenView[]> {
    return this.#rooms.tokens.list().map(tokenView);
  }

  async revokeToken(id: string): Promise<TokenView | null> {
    const { tokens, evidence } = this.#rooms;
    const record = await revokeToken(tokens, async () => evidence.log.audit, id, LOCAL, this.#parts.clock.now());
    return record === null ? null : tokenView(record);
  }

  async listSessions(): Promise<readonly SessionView[]> {
    return this.#rooms.door.sessions.map(sessionView);
  }

  async killSession(id: string, { user, reason }: KillOrder): Promise<SessionView | null> {
    const { door, evidence } = this.#rooms;
    const { audit } = evidence.log;
    const session = door.sessions.find((each) => each.id === id);
    if (session === undefined) return null;
    const { issuer, subject } = session.identity;
    const target = session.target.name;
    // Durable first: nobody's session ends by an administrator's hand without a word in the log.
    const killed = audit.event("session.killed", { session: id, subject, issuer, target, by: LOCAL, user, reason });
    await audit.waitDurable(killed);
    const why = refusal("killed", "an administrator has ended this session", {
      event: id,
      hint: reason === null ? "Ask the gateway's operator." : `The reason: ${reason}`,
    });
    return door.endSession(id, why) ? sessionView(session) : null;
  }

  async recordUnsealing(order: CustodyOrder, keys: readonly string[]): Promise<void> {
    await recordUnsealing(this.#rooms.evidence.log.audit, byLocal(order), keys);
  }

  async shredRecording(order: CustodyOrder): Promise<boolean | null> {
    const { recorder, evidence } = this.#rooms;
    return shredRecording(this.#parts.config.data, recorder, evidence.log.audit, byLocal(order));
  }

  async rotateLogKey(): Promise<RotatedLogKey> {
    return this.#rooms.evidence.log.audit.rotateKey();
  }

  async pruneLog(before: number): Promise<PrunedLog> {
    return this.#rooms.evidence.log.audit.prune(before);
  }

  /** Who vouches for the log. */
  #vouched(): Pick<Status["log"], "witnesses" | "cosigned" | "witnessLagMs" | "held" | "cosigner" | "stamps"> {
    const { evidence, listeners } = this.#rooms;
    const { cosigning, stamping } = evidence.log;
    const vouched = cosigning?.status ?? { witnesses: [], cosigned: null, lagMs: 0 };
    return {
      witnesses: vouched.witnesses.map((each) => ({ ...each, cosigned: vouchedView(each.cosigned) })),
      cosigned: vouchedView(vouched.cosigned),
      witnessLagMs: Math.round(vouched.lagMs),
      held: cosigning?.hold ?? evidence.copies.hold,
      cosigner: listeners.cosigner,
      stamps: stamping?.status ?? null,
    };
  }
}

function byLocal(order: CustodyOrder): CustodyOrder {
  return { ...order, by: `${order.by}, ${LOCAL}` };
}

async function logSize(folder: string): Promise<number> {
  const log = LogReader.open(folder);
  try {
    return await log.size();
  } finally {
    log.close();
  }
}
