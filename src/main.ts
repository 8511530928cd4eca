/** Puts the house together: from a configuration to a gateway that serves, and down again in order. */
import { hostname } from "node:os";
import { lockDataFolder, prepareDataFolder } from "./api/data-folder.ts";
import type { House, ListenerStatus, Status, TargetStatus, TokenView } from "./api/house.ts";
import { serveApi } from "./api/server.ts";
import { AuditLog } from "./audit/audit.ts";
import { LogReader } from "./audit/query.ts";
import type { Config, Listener } from "./config/config.ts";
import { refusal } from "./core/decision.ts";
import type { Adapter, Approvals, Clock, Listen, Served } from "./core/ports.ts";
import { DirectDialer } from "./dial/direct.ts";
import { GateDoor } from "./gate/door.ts";
import { issueToken, revokeToken } from "./identity/issue.ts";
import { keptCertificate } from "./identity/kept-certificate.ts";
import { TokenStore } from "./identity/token-store.ts";
import type { TokenRecord } from "./identity/token-store.ts";
import { TokenAuthenticator } from "./identity/tokens.ts";
import { formatProblem as formatPolicyProblem } from "./policy/problems.ts";
import { PolicyStore } from "./policy/store.ts";
import type { PolicyEvent } from "./policy/store.ts";

/** How long a target's answer to `weir status` is taken for the present. */
const PROBE_AGE_MS_MAX = 10_000;
/** Below the 10 s after which the local socket's server gives up on a silent answer. */
const PROBE_TIME_MS_MAX = 8_000;
/** Beyond the drain time itself: for the last bytes, and for an adapter that does not keep it. */
const DRAIN_GRACE_MS = 5_000;

export type GatewayParts = {
  readonly config: Config;
  readonly adapters: readonly Adapter[];
  readonly version: string;
  readonly clock: Clock;
  /** Told what people should know while the gateway runs: one line each. */
  say(line: string): void;
};

export type Gateway = {
  readonly listeners: readonly ListenerStatus[];
  /** Ends in order: no new sessions, running operations finish within the drain time, the log is closed. May be called twice. */
  drain(): Promise<void>;
};

/** Nobody can be asked in this version; the policy language refuses `require` when it is loaded. */
const NOBODY_TO_ASK: Approvals = {
  ask: async (operation) =>
    refusal("approval_denied", "policy asks for an approval, which this version cannot obtain", {
      event: operation.id,
    }),
};

/** Starts a gateway; resolves when it serves. Rejects with a sentence for people, and leaves nothing behind. */
export async function startGateway(parts: GatewayParts): Promise<Gateway> {
  await using stack = new AsyncDisposableStack();
  const house = await openHouse(parts, stack);
  const closing = stack.move();
  let drained: Promise<void> | null = null;
  const drain = async (): Promise<void> => {
    try {
      // First of all, so that the local socket goes on answering until the sessions have ended; what fails here fails
      // again when everything is closed.
      await house.drainListeners().catch(() => undefined);
      await closing.disposeAsync();
    } catch (error) {
      throw new Error(`the gateway has ended, but not cleanly: ${reasonsOf(error).join("; ")}`, { cause: error });
    }
  };
  void house.probeAll();
  return { listeners: house.listeners, drain: async () => (drained ??= drain()) };
}

async function openHouse(parts: GatewayParts, stack: AsyncDisposableStack): Promise<RunningHouse> {
  const { config, adapters, clock } = parts;
  prepareDataFolder(config.data);
  const lock = lockDataFolder(config.data);
  stack.defer(() => lock.release());

  const audit = await AuditLog.open({
    folder: config.data,
    clock,
    intentsAreAwaited: config.audit.durability !== "relaxed",
  });
  stack.defer(async () => audit.close());

  const tokens = TokenStore.open(config.data);
  stack.defer(() => tokens.close());

  const policyWatch = new PolicyWatch(audit, (line) => parts.say(line));
  const vocabularies = adapters.flatMap((adapter) => adapter.vocabularies);
  const policy = await PolicyStore.open(config.policies, vocabularies, config.targets, (event) =>
    policyWatch.heard(event),
  );
  stack.defer(() => policy.close());
  policy.watch();

  const door = new GateDoor({
    policy,
    audit,
    durability: config.audit.durability,
    authenticator: new TokenAuthenticator(tokens, clock),
    approvals: NOBODY_TO_ASK,
    dialer: new DirectDialer(),
    clock,
    targets: new Map(config.targets.map((target) => [target.name, target])),
    limits: config.limits,
    say: (line) => parts.say(line),
    keeps: (name) => adapters.find((adapter) => adapter.name === name)?.keeps ?? [],
  });

  const house = new RunningHouse(parts, { audit, tokens, policy, policyWatch, door });
  stack.defer(() => {
    audit.event("gateway.stopped", { name: config.name });
  });
  for (const listener of config.listeners) await house.serve(listener);
  stack.defer(async () => house.drainListeners());

  const api = serveApi(house, config.data);
  stack.defer(async () => api.stop());

  const started = audit.event("gateway.started", {
    name: config.name,
    version: parts.version,
    pid: process.pid,
    durability: config.audit.durability,
    policy: policy.digest,
    listeners: house.listeners.map(({ adapter, host, port }) => `${adapter} ${host}:${port}`),
  });
  await audit.waitDurable(started);
  return house;
}

/** Records which policy became active or was rejected, and keeps what is wrong now for `weir status`. */
class PolicyWatch {
  problems: readonly string[] = [];
  readonly #audit: AuditLog;
  readonly #say: (line: string) => void;

  constructor(audit: AuditLog, say: (line: string) => void) {
    this.#audit = audit;
    this.#say = say;
  }

  heard(event: PolicyEvent): void {
    try {
      if (event.kind === "activated") {
        this.problems = [];
        this.#audit.event("policy.activated", { digest: event.digest, commit: event.commit });
        return;
      }
      this.problems = event.problems.map(formatPolicyProblem);
      this.#say("the changed policies have errors and were not taken; the last good ones stay active:");
      for (const line of this.problems) this.#say(`  ${line}`);
      this.#audit.event("policy.rejected", { problems: this.problems.slice(0, 20) });
    } catch {
      // The log has failed: it says so itself, and nothing is let through until it is back.
    }
  }
}

type Rooms = {
  readonly audit: AuditLog;
  readonly tokens: TokenStore;
  readonly policy: PolicyStore;
  readonly policyWatch: PolicyWatch;
  readonly door: GateDoor;
};

/** The house while it runs: what the local socket shows and does. */
class RunningHouse implements House {
  readonly listeners: ListenerStatus[] = [];
  readonly #parts: GatewayParts;
  readonly #rooms: Rooms;
  readonly #served: Served[] = [];
  readonly #startedAtMs: number;
  readonly #probes = new Map<string, { readonly atMs: number; readonly problem: Promise<string | null> }>();
  #isDraining = false;
  #drained: Promise<void> | null = null;

  constructor(parts: GatewayParts, rooms: Rooms) {
    this.#parts = parts;
    this.#rooms = rooms;
    this.#startedAtMs = parts.clock.now();
  }

  async serve(listener: Listener): Promise<void> {
    const adapter = this.#parts.adapters.find((each) => each.name === listener.adapter);
    if (adapter === undefined) throw new Error(`there is no adapter for ${listener.adapter}`);
    const listen: Listen = {
      host: listener.host,
      port: listener.port,
      tls: this.#tls(listener),
      limits: this.#parts.config.limits,
    };
    const served = await adapter.serve(this.#rooms.door, listen).catch((error: unknown) => {
      const { host, port } = listener;
      throw new Error(`cannot listen on ${host}:${port} for ${adapter.name}: ${bindReason(error)}`, { cause: error });
    });
    this.#served.push(served);
    this.listeners.push({ adapter: adapter.name, host: listener.host, port: served.port, tls: listen.tls !== null });
  }

  #tls(listener: Listener): Listen["tls"] {
    if (listener.tls === "off") return null;
    if (listener.tls !== "auto") return listener.tls;
    const { config, clock } = this.#parts;
    const hosts = [config.name, hostname(), listener.host, "localhost", "127.0.0.1", "::1"];
    const names = new Set(hosts.filter((host) => host !== "0.0.0.0" && host !== "::"));
    return keptCertificate(config.data, [...names], clock.now());
  }

  /** No new sessions from now on; resolves when those there are have ended. Does so once. */
  async drainListeners(): Promise<void> {
    return (this.#drained ??= this.#drain());
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    this.#rooms.door.beginDrain();
    const patience = this.#parts.config.limits.drainTimeMs + DRAIN_GRACE_MS;
    await withinTime(
      Promise.all(this.#served.map(async (served) => served.drain())),
      patience,
      "sessions did not end in time",
    );
  }

  /** Tries every target once and says which cannot be reached. */
  async probeAll(): Promise<void> {
    for (const { name, problem } of await this.#targets()) {
      if (problem !== null) this.#parts.say(`the target ${name} cannot be used yet: ${problem}`);
    }
  }

  async status(): Promise<Status> {
    const { config, version } = this.#parts;
    const { audit, policy, policyWatch, door } = this.#rooms;
    return {
      name: config.name,
      version,
      pid: process.pid,
      started: new Date(this.#startedAtMs).toISOString(),
      draining: this.#isDraining,
      listeners: this.listeners,
      sessions: door.sessionCount,
      targets: await this.#targets(),
      policy: { digest: policy.digest, commit: policy.commit, problems: policyWatch.problems },
      log: {
        durability: config.audit.durability,
        entries: await logSize(config.data),
        failure: audit.failure?.message ?? null,
        lastWitness: null,
      },
    };
  }

  async createToken(order: Parameters<House["createToken"]>[0]): ReturnType<House["createToken"]> {
    const now = this.#parts.clock.now();
    const { expiresInMs, ...rest } = order;
    const wanted = { ...rest, expiresAtMs: expiresInMs === null ? null : now + expiresInMs };
    const made = await issueToken(this.#rooms.tokens, this.#rooms.audit, wanted, "local socket", now);
    return { token: made.text, record: tokenView(made.record) };
  }

  async listTokens(): Promise<readonly TokenView[]> {
    return this.#rooms.tokens.list().map(tokenView);
  }

  async revokeToken(id: string): Promise<TokenView | null> {
    const { tokens, audit } = this.#rooms;
    const record = await revokeToken(tokens, async () => audit, id, "local socket", this.#parts.clock.now());
    return record === null ? null : tokenView(record);
  }

  async #targets(): Promise<readonly TargetStatus[]> {
    return Promise.all(
      this.#parts.config.targets.map(async (target) => {
        const { name, adapter } = target;
        const last = this.#probes.get(name);
        if (last !== undefined && performance.now() - last.atMs < PROBE_AGE_MS_MAX) {
          return { name, adapter, problem: await last.problem };
        }
        const speaks = this.#parts.adapters.find((each) => each.name === adapter);
        const problem =
          speaks === undefined
            ? Promise.resolve(`there is no adapter for ${adapter}`)
            : withinTime(speaks.probe(this.#rooms.door, target), PROBE_TIME_MS_MAX, "it did not answer in time").catch(
                messageOf,
              );
        this.#probes.set(name, { atMs: performance.now(), problem });
        return { name, adapter, problem: await problem };
      }),
    );
  }
}

/** A token as the outside sees it. */
export function tokenView(record: TokenRecord): TokenView {
  const { id, subject, kind, groups, owner } = record;
  return {
    id,
    subject,
    kind,
    groups,
    owner,
    created: isoTime(record.createdAtMs),
    expires: record.expiresAtMs === null ? null : isoTime(record.expiresAtMs),
    revoked: record.revokedAtMs === null ? null : isoTime(record.revokedAtMs),
  };
}

async function logSize(folder: string): Promise<number> {
  const log = LogReader.open(folder);
  try {
    return await log.size();
  } finally {
    log.close();
  }
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

async function withinTime<T>(work: Promise<T>, timeMs: number, message: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(message)), timeMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Why a listener could not be bound, and what to do about it. */
export function bindReason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code === "EADDRINUSE") return "the port is in use; stop what holds it, or choose another port";
  if (code === "EACCES") return "this user may not bind the port; choose one above 1023";
  if (code === "EADDRNOTAVAIL") return "this is no address of this machine; name one that is, or 0.0.0.0 for all";
  return messageOf(error);
}

/** What went wrong while several things were closed, in the order in which it happened. */
function reasonsOf(error: unknown): string[] {
  if (error instanceof SuppressedError) return [...reasonsOf(error.suppressed), ...reasonsOf(error.error)];
  return [messageOf(error)];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
