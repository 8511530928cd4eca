/** From a client's first byte to its session: startup packet, TLS, who it is, the target behind it. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Identity } from "../../src/core/identity.ts";
import type { Arrival, Clock, Door, OpenSession, Upstream } from "../../src/core/ports.ts";
import type { Through } from "../../src/core/session.ts";
import { messageOf } from "../../src/core/message-of.ts";
import { readInt32 } from "../../src/wire/framer.ts";
import type { ClientLink } from "./client-link.ts";
import type { ClientStream, ServerTls } from "./client-stream.ts";
import type { CancelKey } from "./cancel-keys.ts";
import { databaseNameOf, settingsOf, type Databases, type RefusedLogin, type TargetDatabase } from "./databases.ts";
import { arrivingDatabase } from "./arriving-database.ts";
import { CatalogMoved, type MaskSource, NO_MASKS, SessionMasking } from "./mask/session-masking.ts";
import { encodeAuthenticationCleartext, encodeNegotiateProtocolVersion } from "./protocol/backend.ts";
import { decodePassword } from "./protocol/frontend.ts";
import { PASSWORD_BYTES_MAX, STARTUP_BYTES_MAX } from "./protocol/limits.ts";
import { decodeStartup, type Startup } from "./protocol/startup.ts";
import { FRONTEND } from "./protocol/types.ts";
import { encodeRefusal, type Closer } from "./refuse.ts";
import type { PostgresSettings } from "./settings.ts";
import type { LoggedIn } from "./upstream.ts";

/** The first byte of a TLS handshake record: a client that does not ask first. */
const TLS_HANDSHAKE = 0x16;
/** SSLRequest, GSSENCRequest and the startup packet: more is no login. */
const STARTUP_PACKETS_MAX = 3;
/** How often a catalog may change while a session's masks are worked out. */
const MASKING_ATTEMPTS_MAX = 5;
const NO = new Uint8Array([0x4e]);
const YES = new Uint8Array([0x53]);

/** What becomes of a connection that went through. */
export type Admitted = {
  readonly opened: OpenSession;
  readonly database: TargetDatabase;
  readonly upstream: Upstream;
  readonly login: LoggedIn;
  readonly masking: SessionMasking;
  readonly protocolMinor: 0 | 2;
};

export type LoginParts = {
  readonly door: Door;
  readonly clock: Clock;
  readonly databases: Databases;
  cancel(key: CancelKey, source: string): void;
};

/** Who a client is, and where it wants to go. */
type Wanted = {
  readonly identity: Identity;
  readonly targetName: string;
  /** The forward that it came through; absent: it came by itself. */
  readonly through?: Through;
  /** Goes into the record. */
  readonly text: string;
  /** The name of the database at the server; a refusal: the target does not list what was asked for. */
  databaseOf(settings: PostgresSettings): string | Refusal;
};

/** How a client comes in: through the listener's socket, or handed over. */
type Entry = {
  /** Where TLS can begin; null: bytes are as safe as they will be. */
  readonly socket: { readonly stream: ClientStream; readonly tls: ServerTls | null } | null;
  wanted(reader: LoginReader, startup: RealStartup): Promise<Wanted | RefusedLogin>;
};

/** The client went away, or its connection was closed by the limits; there is nobody to answer. */
class ClientGone extends Error {}

/** Reads the login's few messages, each within its limit. */
class LoginReader {
  readonly #client: ClientLink;
  #bytes: Uint8Array = new Uint8Array(0);
  #wake: (() => void) | null = null;
  #isClosed = false;

  constructor(client: ClientLink) {
    this.#client = client;
    this.#listen();
    client.onClose(() => {
      this.#isClosed = true;
      this.#wake?.();
    });
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Resolves with the next `length` bytes, leaving what comes after them. */
  async take(length: number): Promise<Uint8Array> {
    await this.have(length);
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  /** Resolves when at least `length` bytes are there. */
  async have(length: number): Promise<void> {
    while (this.#bytes.length < length) {
      if (this.#isClosed) throw new ClientGone();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  /** Stops reading and hands on what was read and not taken. */
  finish(): void {
    this.#client.handBack(this.#bytes);
    this.#bytes = new Uint8Array(0);
  }

  /** Forgets what was read; the next bytes are another layer's. */
  restart(): Uint8Array {
    const bytes = this.#bytes;
    this.#bytes = new Uint8Array(0);
    return bytes;
  }

  /** After direct TLS has begun, plaintext comes again. */
  listenAgain(): void {
    this.#listen();
  }

  #listen(): void {
    this.#client.onData((received) => {
      const joined = new Uint8Array(this.#bytes.length + received.length);
      joined.set(this.#bytes);
      joined.set(received, this.#bytes.length);
      this.#bytes = joined;
      this.#wake?.();
    });
  }
}

/**
 * Takes a fresh connection through its login. Null: it is dealt with (a cancel request, a refusal that was sent, a
 * client that went away). The caller bounds the time.
 */
export async function admit(client: ClientStream, parts: LoginParts, tls: ServerTls | null): Promise<Admitted | null> {
  return admitBy(client, parts, {
    socket: { stream: client, tls },
    wanted: (reader, startup) => provenByPassword(client, reader, parts, startup),
  });
}

/** As admit(), for a client that was handed over: who it is, is proven, and the forward has named the target. */
export async function admitArriving(client: ClientLink, parts: LoginParts, arrival: Arrival): Promise<Admitted | null> {
  return admitBy(client, parts, { socket: null, wanted: async (_, startup) => wantedBy(arrival, startup) });
}

async function admitBy(client: ClientLink, parts: LoginParts, entry: Entry): Promise<Admitted | null> {
  const reader = new LoginReader(client);
  try {
    const startup = await readStartup(client, reader, parts, entry);
    if (startup === null) return null;
    const admitted = await logIn(client, reader, parts, entry, startup);
    if (isRefusal(admitted)) {
      parts.door.explain(admitted);
      const sqlState = admitted.code === "unauthenticated" ? "28P01" : admitted.sqlState;
      sayNo(client, admitted, sqlState === undefined ? undefined : { sqlState });
      return null;
    }
    reader.finish();
    return admitted;
  } catch (error) {
    if (!(error instanceof ClientGone)) {
      sayNo(client, refusal("protocol", `this login is not PostgreSQL's protocol: ${messageOf(error)}`));
    }
    client.end();
    return null;
  }
}

function sayNo(client: ClientLink, no: Refusal, closer?: Closer): void {
  client.write(encodeRefusal(no, "FATAL", closer));
  client.end();
}

type RealStartup = Extract<Startup, { kind: "startup" }>;

async function readStartup(
  client: ClientLink,
  reader: LoginReader,
  parts: LoginParts,
  { socket }: Entry,
): Promise<RealStartup | null> {
  const stream = socket?.stream;
  const tls = socket?.tls ?? null;
  await reader.have(1);
  if (reader.bytes[0] === TLS_HANDSHAKE) {
    if (stream === undefined || tls === null) {
      client.end();
      return null;
    }
    stream.startDirectTls(tls, reader.restart());
    reader.listenAgain();
  }
  for (let packets = 0; packets < STARTUP_PACKETS_MAX; packets++) {
    const length = readInt32(await reader.take(4), 0);
    if (length < 8 || length > STARTUP_BYTES_MAX + 4) throw new Error(`a startup packet of ${length} bytes`);
    const startup = decodeStartup(await reader.take(length - 4));
    switch (startup.kind) {
      case "gssenc":
        refuseEarlyBytes(reader);
        client.write(NO);
        break;
      case "ssl":
        refuseEarlyBytes(reader);
        if (stream === undefined || tls === null || stream.isEncrypted) {
          client.write(NO);
        } else {
          client.write(YES);
          stream.startTls(tls);
        }
        break;
      case "cancel":
        parts.cancel(startup, client.source);
        client.end();
        return null;
      case "startup":
        return startup;
    }
  }
  throw new Error("no startup packet");
}

/** What comes before the answer to an encryption request could have been put there by somebody in between (CVE-2021-23214). */
function refuseEarlyBytes(reader: LoginReader): void {
  if (reader.bytes.length > 0) throw new Error("bytes came before the answer to an encryption request");
}

async function logIn(
  client: ClientLink,
  reader: LoginReader,
  parts: LoginParts,
  entry: Entry,
  startup: RealStartup,
): Promise<Admitted | RefusedLogin> {
  if (startup.major !== 3)
    return refusal("protocol", `protocol ${startup.major}.${startup.minor} is not spoken here; 3.0 and 3.2 are`);
  const replication = parameterOf(startup, "replication");
  if (replication !== undefined && replication !== "false") {
    return refusal("denied", "replication does not go through the gateway", {
      hint: "Replicate from the server itself.",
    });
  }
  const unsafe = entry.socket === null ? null : unsafeForTokens(entry.socket);
  if (unsafe !== null) return unsafe;
  const protocolMinor = startup.minor >= 2 ? 2 : 0;
  const unknownOptions = startup.parameters.map(([name]) => name).filter((name) => name.startsWith("_pq_."));
  if ((startup.minor !== 0 && startup.minor !== 2) || unknownOptions.length > 0) {
    client.write(encodeNegotiateProtocolVersion(protocolMinor, unknownOptions));
  }

  const wanted = await entry.wanted(reader, startup);
  if ("code" in wanted) return wanted;
  const opened = await parts.door.open({
    adapter: "postgres",
    identity: wanted.identity,
    targetName: wanted.targetName,
    ...(wanted.through === undefined ? {} : { through: wanted.through }),
    source: client.source,
    text: wanted.text,
    facts: (target) => {
      const name = wanted.databaseOf(settingsOf(target));
      return typeof name === "string" ? { databases: [name], verbs: ["connect"] } : name;
    },
  });
  if (isRefusal(opened)) return opened;

  const { target } = opened.session;
  const databaseName = wanted.databaseOf(settingsOf(target));
  const database = parts.databases.get(target, typeof databaseName === "string" ? databaseName : "");
  const passedOn = startup.parameters.filter(([name]) => !OWN_PARAMETERS.has(name) && !name.startsWith("_pq_."));
  // As a setting of the login it is what RESET and DISCARD go back to; the last one counts, whatever `options` say.
  if (opened.permit.obligations.session?.readOnly === true) passedOn.push(["default_transaction_read_only", "on"]);
  const refuse = (no: RefusedLogin): RefusedLogin => {
    parts.door.close(opened.session, {
      status: "failed",
      ...(no.sqlState === undefined ? {} : { code: no.sqlState }),
    });
    return no;
  };
  // Policy may change while masks are worked out, and while the target lets the session in: they are then of the past.
  let isOld = false;
  let follow = (): void => void (isOld = true);
  parts.door.onPolicyChange(opened.session, () => follow());
  const masking = await maskingOf(opened, database);
  if (isRefusal(masking)) return refuse(masking);
  if (isOld) masking.policyChanged();
  follow = () => masking.policyChanged();
  const loggedIn = await database.logIn(opened, passedOn, protocolMinor, masking.plan);
  if (isRefusal(loggedIn)) return refuse(loggedIn);
  return { opened, database, ...loggedIn, masking, protocolMinor };
}

function parameterOf(startup: RealStartup, name: string): string | undefined {
  return startup.parameters.findLast(([each]) => each === name)?.[1];
}

function unsafeForTokens({ stream, tls }: NonNullable<Entry["socket"]>): RefusedLogin | null {
  if (stream.isEncrypted || (tls === null && stream.isLoopback)) return null;
  return refusal("unauthenticated", "a token is only taken over TLS", {
    hint: "Connect with sslmode=require or better.",
  });
}

async function provenByPassword(
  client: ClientLink,
  reader: LoginReader,
  { door }: LoginParts,
  startup: RealStartup,
): Promise<Wanted | RefusedLogin> {
  client.write(encodeAuthenticationCleartext());
  const header = await reader.take(5);
  const passwordBytes = readInt32(header, 1) - 4;
  if (header[0] !== FRONTEND.password || passwordBytes < 0 || passwordBytes > PASSWORD_BYTES_MAX) {
    throw new Error("a password message was expected");
  }
  const secret = decodePassword(await reader.take(passwordBytes));
  const identity = await door.authenticate({ method: "token", secret, source: client.source });
  if (isRefusal(identity)) return identity;

  const asked = parameterOf(startup, "database") ?? parameterOf(startup, "user") ?? "";
  const dot = asked.indexOf(".");
  const targetName = dot < 0 ? asked : asked.slice(0, dot);
  const databaseAsked = dot < 0 ? null : asked.slice(dot + 1);
  return {
    identity,
    targetName,
    text: connectText(asked, startup),
    databaseOf: (settings) =>
      databaseNameOf(settings, databaseAsked) ??
      refusal("denied", `the target "${targetName}" does not list the database "${databaseAsked}"`),
  };
}

function wantedBy(arrival: Arrival, startup: RealStartup): Wanted {
  const { identity, targetName, part, through } = arrival;
  const user = parameterOf(startup, "user") ?? "";
  const asked = parameterOf(startup, "database") ?? user;
  const place = part === null ? targetName : `${targetName}.${part}`;
  return {
    identity,
    targetName,
    through,
    text: `${connectText(place, startup)} database=${asked} through=${through.operation}`,
    databaseOf: (settings) =>
      arrivingDatabase(settings, { targetName, part, user, asked }) ??
      refusal("denied", `the forward leads to "${place}", which does not list the database "${asked}"`),
  };
}

function connectText(place: string, startup: RealStartup): string {
  const user = parameterOf(startup, "user") ?? "";
  return `postgres ${place} user=${user} application_name=${parameterOf(startup, "application_name") ?? ""}`;
}

/** What is masked in a session is known before it has a connection: that decides how it logs in. */
async function maskingOf({ session }: OpenSession, database: TargetDatabase): Promise<SessionMasking | Refusal> {
  const source: MaskSource = {
    couldMask: () => database.masks.couldMask(session),
    loadCatalog: () => database.loadCatalog(),
    masksOf: (catalog) => database.masks.of(session, catalog),
  };
  if (!source.couldMask()) return new SessionMasking(source, NO_MASKS, database.catalog);
  try {
    for (let attempt = 1; ; attempt++) {
      // What was changed a moment ago counts for whoever comes now.
      const catalog = await source.loadCatalog();
      try {
        return new SessionMasking(source, await source.masksOf(catalog), catalog);
      } catch (error) {
        if (!(error instanceof CatalogMoved) || attempt === MASKING_ATTEMPTS_MAX) throw error;
      }
    }
  } catch (error) {
    return refusal("target_unavailable", `what is masked in the target "${session.target.name}" cannot be worked out`, {
      event: session.id,
      hint: "Try again in a moment; the gateway's operator finds the reason under this id.",
      detail: messageOf(error),
    });
  }
}

/** What the gateway decides; all other startup parameters are passed on as they came. */
const OWN_PARAMETERS = new Set(["user", "database", "replication"]);
