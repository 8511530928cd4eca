/** From a client's first byte to its session: startup packet, TLS, who it is, the target behind it. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Clock, Door, OpenSession, Upstream } from "../../src/core/ports.ts";
import { readInt32 } from "../../src/wire/framer.ts";
import type { ClientStream, ServerTls } from "./client-stream.ts";
import type { CancelKey } from "./cancel-keys.ts";
import { databaseNameOf, settingsOf, type Databases, type TargetDatabase } from "./databases.ts";
import { encodeAuthenticationCleartext, encodeNegotiateProtocolVersion } from "./protocol/backend.ts";
import { decodePassword } from "./protocol/frontend.ts";
import { PASSWORD_BYTES_MAX, STARTUP_BYTES_MAX } from "./protocol/limits.ts";
import { decodeStartup, type Startup } from "./protocol/startup.ts";
import { FRONTEND } from "./protocol/types.ts";
import { encodeRefusal, type Closer } from "./refuse.ts";
import type { LoggedIn } from "./upstream.ts";

/** The first byte of a TLS handshake record: a client that does not ask first. */
const TLS_HANDSHAKE = 0x16;
/** SSLRequest, GSSENCRequest and the startup packet: more is no login. */
const STARTUP_PACKETS_MAX = 3;
const NO = new Uint8Array([0x4e]);
const YES = new Uint8Array([0x53]);

/** What becomes of a connection that went through. */
export type Admitted = {
  readonly opened: OpenSession;
  readonly database: TargetDatabase;
  readonly upstream: Upstream;
  readonly login: LoggedIn;
  readonly protocolMinor: 0 | 2;
};

export type LoginParts = {
  readonly door: Door;
  readonly clock: Clock;
  readonly databases: Databases;
  readonly tls: ServerTls | null;
  cancel(key: CancelKey, source: string): void;
};

/** The client went away, or its connection was closed by the limits; there is nobody to answer. */
class ClientGone extends Error {}

/** Reads the login's few messages, each within its limit. */
class LoginReader {
  readonly #client: ClientStream;
  #bytes: Uint8Array = new Uint8Array(0);
  #wake: (() => void) | null = null;
  #isClosed = false;

  constructor(client: ClientStream) {
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
export async function admit(client: ClientStream, parts: LoginParts): Promise<Admitted | null> {
  const reader = new LoginReader(client);
  try {
    const startup = await readStartup(client, reader, parts);
    if (startup === null) return null;
    const admitted = await logIn(client, reader, parts, startup);
    if (isRefusal(admitted)) {
      if (admitted.detail !== "") parts.door.report(`${admitted.event}: ${admitted.message}: ${admitted.detail}`);
      sayNo(client, admitted, admitted.code === "unauthenticated" ? { sqlState: "28P01" } : undefined);
      return null;
    }
    reader.finish();
    return admitted;
  } catch (error) {
    if (!(error instanceof ClientGone)) {
      sayNo(
        client,
        refusal(
          "protocol",
          `this login is not PostgreSQL's protocol: ${error instanceof Error ? error.message : String(error)}`,
        ),
      );
    }
    client.end();
    return null;
  }
}

function sayNo(client: ClientStream, no: Refusal, closer?: Closer): void {
  client.write(encodeRefusal(no, "FATAL", closer));
  client.end();
}

type RealStartup = Extract<Startup, { kind: "startup" }>;

async function readStartup(client: ClientStream, reader: LoginReader, parts: LoginParts): Promise<RealStartup | null> {
  await reader.have(1);
  if (reader.bytes[0] === TLS_HANDSHAKE) {
    if (parts.tls === null) {
      client.end();
      return null;
    }
    client.startDirectTls(parts.tls, reader.restart());
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
        if (parts.tls === null || client.isEncrypted) {
          client.write(NO);
        } else {
          client.write(YES);
          client.startTls(parts.tls);
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
  client: ClientStream,
  reader: LoginReader,
  parts: LoginParts,
  startup: RealStartup,
): Promise<Admitted | Refusal> {
  if (startup.major !== 3)
    return refusal("protocol", `protocol ${startup.major}.${startup.minor} is not spoken here; 3.0 and 3.2 are`);
  const named = new Map(startup.parameters);
  if (named.has("replication") && named.get("replication") !== "false") {
    return refusal("denied", "replication does not go through the gateway", {
      hint: "Replicate from the server itself.",
    });
  }
  if (!client.isEncrypted && !(parts.tls === null && client.isLoopback)) {
    return refusal("unauthenticated", "a token is only taken over TLS", {
      hint: "Connect with sslmode=require or better.",
    });
  }
  const protocolMinor = startup.minor >= 2 ? 2 : 0;
  const unknownOptions = startup.parameters.map(([name]) => name).filter((name) => name.startsWith("_pq_."));
  if ((startup.minor !== 0 && startup.minor !== 2) || unknownOptions.length > 0) {
    client.write(encodeNegotiateProtocolVersion(protocolMinor, unknownOptions));
  }

  client.write(encodeAuthenticationCleartext());
  const header = await reader.take(5);
  const passwordBytes = readInt32(header, 1) - 4;
  if (header[0] !== FRONTEND.password || passwordBytes < 0 || passwordBytes > PASSWORD_BYTES_MAX) {
    throw new Error("a password message was expected");
  }
  const secret = decodePassword(await reader.take(passwordBytes));
  const identity = await parts.door.authenticate({ method: "token", secret, source: client.source });
  if (isRefusal(identity)) return identity;

  const asked = named.get("database") ?? named.get("user") ?? "";
  const dot = asked.indexOf(".");
  const targetName = dot < 0 ? asked : asked.slice(0, dot);
  const databaseAsked = dot < 0 ? null : asked.slice(dot + 1);
  const opened = await parts.door.open({
    adapter: "postgres",
    identity,
    targetName,
    source: client.source,
    text: `postgres ${asked} user=${named.get("user") ?? ""} application_name=${named.get("application_name") ?? ""}`,
    facts: (target) => {
      const name = databaseNameOf(settingsOf(target), databaseAsked);
      if (name === null)
        return refusal("denied", `the target "${target.name}" does not list the database "${databaseAsked}"`);
      return { databases: [name], verbs: ["connect"] };
    },
  });
  if (isRefusal(opened)) return opened;

  const { target } = opened.session;
  const database = parts.databases.get(target, databaseNameOf(settingsOf(target), databaseAsked) ?? "");
  const passedOn = startup.parameters.filter(([name]) => !OWN_PARAMETERS.has(name) && !name.startsWith("_pq_."));
  const loggedIn = await database.logIn(opened, passedOn, protocolMinor);
  if (isRefusal(loggedIn)) {
    parts.door.close(opened.session, { status: "failed" });
    return loggedIn;
  }
  return { opened, database, ...loggedIn, protocolMinor };
}

/** What the gateway decides; all other startup parameters are passed on as they came. */
const OWN_PARAMETERS = new Set(["user", "database", "replication"]);
