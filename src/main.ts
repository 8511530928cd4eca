/** Puts the house together: from a configuration to a gateway that serves, and down again in order. */
import { lockDataFolder, prepareDataFolder } from "./api/data-folder.ts";
import type { ListenerStatus } from "./api/house.ts";
import { serveApi } from "./api/server.ts";
import type { Config } from "./config/config.ts";
import { refusal } from "./core/decision.ts";
import { messageOf } from "./core/message-of.ts";
import type { Approvals } from "./core/ports.ts";
import { DirectDialer } from "./dial/direct.ts";
import { resolveHost } from "./dial/resolve.ts";
import { ClockWatch } from "./gate/clock-watch.ts";
import { GateDoor } from "./gate/door.ts";
import { GovernedPlaces } from "./gate/governed-places.ts";
import { openPolicy } from "./gateway/active-policy.ts";
import { followClockSteps } from "./gateway/clock-steps.ts";
import { openEvidence } from "./gateway/evidence.ts";
import { Listeners } from "./gateway/listeners.ts";
import { adapterOf, type GatewayParts } from "./gateway/parts.ts";
import { reload } from "./gateway/reloading.ts";
import { openRecorder } from "./gateway/recordings.ts";
import { RunningHouse, type Rooms } from "./gateway/running-house.ts";
import { TargetProbes } from "./gateway/target-probes.ts";
import { deferEnd } from "./gateway/within-time.ts";
import { Authenticators } from "./identity/authenticators.ts";
import { KeyAuthenticator } from "./identity/keys.ts";
import { TokenStore } from "./identity/token-store.ts";
import { TokenAuthenticator } from "./identity/tokens.ts";
import { obligedContent } from "./mask/obliged-content.ts";
import { KeptMeters } from "./meter/meters.ts";

export type Gateway = {
  readonly listeners: readonly ListenerStatus[];
  /**
   * Takes policies and certificates anew and says what it did; ends no session. `next` is the configuration as it is
   * written now; null: it has errors. Never rejects.
   */
  reload(next: Config | null): Promise<void>;
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
  const rooms = await openHouse(parts, stack);
  const closing = stack.move();
  let drained: Promise<void> | null = null;
  const drain = async (): Promise<void> => {
    try {
      // First of all, so that the local socket goes on answering until the sessions have ended; what fails here fails
      // again when everything is closed.
      await drainSessions(rooms).catch(() => undefined);
      await closing.disposeAsync();
    } catch (error) {
      throw new Error(`the gateway has ended, but not cleanly: ${messageOf(error)}`, { cause: error });
    }
  };
  const { listeners, policy, probes, evidence } = rooms;
  void probes.sayProblems();
  return {
    listeners: listeners.bound,
    reload: async (next) => {
      const done = await reload(parts.config, next, { policy: policy.store, listeners, audit: evidence.log.audit });
      for (const line of done) parts.say(`reload: ${line}`);
    },
    drain: async () => (drained ??= drain()),
  };
}

/** Opens one part after the other, each with its end on `stack`: they end in the opposite order. */
async function openHouse(parts: GatewayParts, stack: AsyncDisposableStack): Promise<Rooms> {
  const { config, clock, say } = parts;
  prepareDataFolder(config.data);
  const lock = lockDataFolder(config.data);
  stack.defer(() => lock.release());
  const clockWatch = new ClockWatch(clock);
  stack.defer(() => clockWatch.stop());
  const isTimeKnown = (): boolean => clockWatch.steppedByMs === null;

  const evidence = await openEvidence(parts, isTimeKnown, stack);
  const { audit } = evidence.log;
  const tokens = TokenStore.open(config.data);
  stack.defer(() => tokens.close());
  const policy = await openPolicy(parts, audit, isTimeKnown, stack);
  followClockSteps(clockWatch, policy.store, audit, say);
  const meters = new KeptMeters({ folder: config.data, clock, say });
  stack.defer(() => meters.close());
  const recorder = await openRecorder(parts, audit, isTimeKnown, stack);

  const listeners = new Listeners(parts);
  const places = governedPlaces(parts, listeners);
  const door: GateDoor = new GateDoor({
    policy: policy.store,
    audit,
    durability: config.audit.durability,
    authenticator: new Authenticators(new TokenAuthenticator(tokens, clock), new KeyAuthenticator(config.keys)),
    approvals: NOBODY_TO_ASK,
    meters,
    recorder,
    dialer: new DirectDialer(),
    forwarding: {
      destinationOf: async (host, port) => places.destinationOf(host, port),
      accept: (target, stream, arrival) => {
        const adapter = adapterOf(parts, target.adapter);
        if (adapter?.accept === undefined) return false;
        adapter.accept(door, stream, { ...arrival, limits: config.limits });
        return true;
      },
    },
    clock: clockWatch,
    targets: new Map(config.targets.map((target) => [target.name, target])),
    limits: config.limits,
    hold: () => evidence.log.cosigning?.hold ?? evidence.copies.hold,
    say,
    keeps: (name) => adapterOf(parts, name)?.keeps ?? [],
    contentMask: obligedContent,
  });
  const probes = new TargetProbes(parts, door);
  const rooms = { evidence, tokens, policy, clockWatch, recorder, door, listeners, probes };
  await serve(parts, rooms, stack);
  await recordStart(parts, rooms);
  return rooms;
}

/** Where forwards may not lead past the gateway: to the targets, and to its own listeners. */
function governedPlaces(parts: GatewayParts, listeners: Listeners): GovernedPlaces {
  const { targets } = parts.config;
  return new GovernedPlaces({
    isTarget: (name) => targets.some((target) => target.name === name),
    endpoints: targets.flatMap((target) => adapterOf(parts, target.adapter)?.endpoints(target) ?? []),
    listeners: () => listeners.bound,
    resolve: resolveHost,
    clock: parts.clock,
  });
}

/** Opens the house to clients, and to administrators on this machine. */
async function serve(parts: GatewayParts, rooms: Rooms, stack: AsyncDisposableStack): Promise<void> {
  const { config } = parts;
  const { listeners, door, evidence } = rooms;
  // Recorded last of all, when the sessions have ended.
  stack.defer(() => {
    evidence.log.audit.event("gateway.stopped", { name: config.name });
  });
  if (config.audit.cosign !== null) deferEnd(stack, "the cosigner", listeners.serveCosigner(config.audit.cosign));
  // Before any is bound: where the second one cannot be, nobody is to meet the first.
  stack.defer(async () => drainSessions(rooms));
  for (const listener of config.listeners) await listeners.serve(listener, door);
  const api = serveApi(new RunningHouse(parts, rooms), config.data);
  deferEnd(stack, "the local socket", async () => api.stop());
}

/** The gateway serves when its log says so. */
async function recordStart({ config, version }: GatewayParts, { evidence, policy, listeners }: Rooms): Promise<void> {
  const { audit } = evidence.log;
  audit.event("config.loaded", { file: config.file, digest: config.digest });
  const started = audit.event("gateway.started", {
    name: config.name,
    version,
    pid: process.pid,
    durability: config.audit.durability,
    policy: policy.store.digest,
    listeners: listeners.bound.map(({ adapter, host, port }) => `${adapter} ${host}:${port}`),
  });
  await audit.waitDurable(started);
}

/** No new sessions from now on; resolves when those there are have ended. */
async function drainSessions({ door, listeners }: Rooms): Promise<void> {
  door.beginDrain();
  await listeners.drain();
}
