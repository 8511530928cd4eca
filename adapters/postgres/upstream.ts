/** Logs in to a PostgreSQL server with the target's credentials, and sends cancel requests. https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP */
import { createHash } from "node:crypto";
import type { Permit, TlsPeer, Upstream } from "../../src/core/ports.ts";
import { WireError } from "../../src/wire/wire-error.ts";
import { tlsServerEndPoint } from "./channel-binding.ts";
import { LoginProblem, LoginStream } from "./login-stream.ts";
import type { Message } from "./login-stream.ts";
import {
  decodeAuthentication,
  decodeBackendKeyData,
  decodeErrorFields,
  decodeNegotiateProtocolVersion,
  decodeParameterStatus,
  decodeReadyForQuery,
} from "./protocol/backend.ts";
import type { Authentication, TransactionStatus } from "./protocol/backend.ts";
import { encodePassword, encodeSaslInitialResponse, encodeSaslResponse } from "./protocol/frontend.ts";
import { encodeCancelRequest, encodeSslRequest, encodeStartup } from "./protocol/startup.ts";
import type { StartupParameter } from "./protocol/startup.ts";
import { BACKEND, PROTOCOL_3_0, PROTOCOL_3_2 } from "./protocol/types.ts";
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramClient, ScramError } from "./scram.ts";
import type { Binding } from "./scram.ts";
import type { PostgresSettings } from "./settings.ts";

export type LoginSettings = Pick<
  PostgresSettings,
  "host" | "database" | "user" | "password" | "tls" | "ca" | "cert" | "key"
> & {
  /** From the first byte to the first ReadyForQuery. */
  readonly loginTimeMs: number;
};

/** A session with a server that is ready for its first query. */
export type LoggedIn = {
  readonly kind: "loggedIn";
  /** What the server reported, by name; the last value of each. */
  readonly parameterStatus: Map<string, string>;
  /** For cancel requests; null when the server gave none. */
  readonly key: { readonly processId: number; readonly secret: Uint8Array } | null;
  /** What the server speaks: what was asked for, or less. */
  readonly protocolMinor: number;
  readonly transactionStatus: TransactionStatus;
  /** NoticeResponse messages as they came, to be passed on. */
  readonly notices: readonly Uint8Array[];
  /** What has come since: read it after setting the upstream's onData, in the same turn, and nothing is lost. */
  readonly leftover: Uint8Array;
};

/** Neither text holds a secret. */
export type LoginFailure = {
  readonly kind: "loginFailure";
  /** The server's SQLSTATE, when it gave one. */
  readonly code: string | null;
  /** For a client: without addresses, and without the server's words about the gateway's account. */
  readonly message: string;
  /** For the operator: the same with all that is known. */
  readonly detail: string;
};

/**
 * Logs in, over TLS where the settings ask for it. `parameters` are the client's startup parameters, passed on as they
 * came but for `user` and `database`. Never rejects; after a failure the upstream is closed. `protocolMinor` is what
 * to ask for: 0 or 2.
 */
export async function logIn(
  upstream: Upstream,
  permit: Permit,
  settings: LoginSettings,
  parameters: readonly StartupParameter[],
  protocolMinor: 0 | 2,
): Promise<LoggedIn | LoginFailure> {
  const stream = new LoginStream(upstream);
  const stopTimer = limitTime(stream, upstream, settings.loginTimeMs);
  try {
    const peer = await negotiateTls(stream, upstream, permit, settings);
    const login = new Login(stream, upstream, permit, settings, peer, protocolMinor);
    return await login.run(parameters);
  } catch (error) {
    upstream.close();
    return failureOf(problemOf(stream.failure instanceof TimeExceeded ? stream.failure : error));
  } finally {
    stopTimer();
  }
}

/**
 * Asks the server, on a connection of its own, to cancel what the backend is doing. Resolves when the server has
 * closed the connection: the signal has been sent by then. Rejects with LoginProblem.
 */
export async function cancelRequest(
  upstream: Upstream,
  permit: Permit,
  settings: LoginSettings,
  processId: number,
  secret: Uint8Array,
): Promise<void> {
  const stream = new LoginStream(upstream);
  const stopTimer = limitTime(stream, upstream, settings.loginTimeMs);
  try {
    await negotiateTls(stream, upstream, permit, settings);
    upstream.write(permit, encodeCancelRequest(processId, secret));
    await stream.closed();
  } catch (error) {
    throw problemOf(stream.failure instanceof TimeExceeded ? stream.failure : error);
  } finally {
    stopTimer();
    upstream.close();
  }
}

const ANSWER_TLS = 0x53; // S
const ANSWER_NO_TLS = 0x4e; // N
/** https://www.iana.org/assignments/tls-extensiontype-values: registered for PostgreSQL. */
const ALPN_POSTGRESQL = "postgresql";
const VERIFY = { require: "encrypt", "verify-ca": "ca", "verify-full": "full" } as const;

/** Null: the mode is `disable`. */
async function negotiateTls(
  stream: LoginStream,
  upstream: Upstream,
  permit: Permit,
  settings: LoginSettings,
): Promise<TlsPeer | null> {
  const { tls, host, ca, cert, key } = settings;
  if (tls === "disable") return null;
  upstream.write(permit, encodeSslRequest());
  const answer = await stream.byte();
  if (answer === ANSWER_NO_TLS) {
    throw new LoginProblem("the target does not offer TLS, which its settings demand", {
      detail: `${upstream.address} does not offer TLS, which the target's settings demand (tls: ${tls})`,
    });
  }
  // An error message could come here too: nobody has proven yet to be the server, so its words are not repeated.
  if (answer !== ANSWER_TLS) throw new LoginProblem("the target did not answer the request for TLS");
  // Somebody in between could have put them there, to be taken for the server's: CVE-2021-23222.
  if (stream.rest.length > 0) throw new LoginProblem("bytes in plain text came before TLS began");
  try {
    return await upstream.startTls(permit, {
      // As in libpq, authorities that are given count even where the mode does not ask for them.
      verify: tls === "require" && ca !== null ? "ca" : VERIFY[tls],
      serverName: host,
      alpn: [ALPN_POSTGRESQL],
      ...(ca === null ? {} : { ca }),
      ...(cert === null ? {} : { cert }),
      ...(key === null ? {} : { key }),
    });
  } catch (error) {
    throw new LoginProblem("no TLS connection with the target could be made that is as safe as its settings demand", {
      detail: `TLS (${tls}): ${error instanceof Error ? error.message : "unknown error"}`,
    });
  }
}

/** The conversation from the startup packet to the first ReadyForQuery. */
class Login {
  readonly #stream: LoginStream;
  readonly #upstream: Upstream;
  readonly #permit: Permit;
  readonly #settings: LoginSettings;
  readonly #peer: TlsPeer | null;
  readonly #notices: Uint8Array[] = [];
  #minor: number;
  #hasNegotiated = false;

  constructor(
    stream: LoginStream,
    upstream: Upstream,
    permit: Permit,
    settings: LoginSettings,
    peer: TlsPeer | null,
    protocolMinor: 0 | 2,
  ) {
    this.#stream = stream;
    this.#upstream = upstream;
    this.#permit = permit;
    this.#settings = settings;
    this.#peer = peer;
    this.#minor = protocolMinor;
  }

  async run(parameters: readonly StartupParameter[]): Promise<LoggedIn> {
    const own: readonly StartupParameter[] = [
      ["user", this.#settings.user],
      ["database", this.#settings.database],
    ];
    const others = parameters.filter(([name]) => name !== "user" && name !== "database");
    this.#send(encodeStartup(this.#minor === 2 ? PROTOCOL_3_2 : PROTOCOL_3_0, [...own, ...others]));
    await this.#authenticate();
    return this.#untilReady();
  }

  async #authenticate(): Promise<void> {
    const request = await this.#nextAuthentication();
    switch (request.kind) {
      case "ok":
        return;
      case "cleartext":
        this.#send(encodePassword(this.#passwordToReveal("as cleartext")));
        break;
      case "md5": {
        const inner = md5(Buffer.from(this.#passwordToReveal("as md5") + this.#settings.user));
        this.#send(encodePassword(`md5${md5(Buffer.concat([Buffer.from(inner), request.salt]))}`));
        break;
      }
      case "sasl":
        await this.#authenticateBySasl(request.mechanisms);
        break;
      case "unsupported":
        throw new LoginProblem(`the target asks for ${request.name}, which is not supported`);
      case "saslContinue":
      case "saslFinal":
        throw unexpected();
    }
    const end = await this.#nextAuthentication();
    if (end.kind !== "ok") throw unexpected();
  }

  async #authenticateBySasl(mechanisms: readonly string[]): Promise<void> {
    const scram = new ScramClient(this.#password(), this.#binding(mechanisms));
    this.#send(encodeSaslInitialResponse(scram.mechanism, scram.first()));
    const challenge = await this.#nextAuthentication();
    if (challenge.kind !== "saslContinue") throw unexpected();
    this.#send(encodeSaslResponse(await scram.final(challenge.data)));
    const verdict = await this.#nextAuthentication();
    // AuthenticationOk here would mean that the server has proven nothing.
    if (verdict.kind !== "saslFinal") throw unexpected();
    scram.verify(verdict.data);
  }

  #binding(mechanisms: readonly string[]): Binding {
    const isPlusOffered = mechanisms.includes(SCRAM_SHA_256_PLUS);
    if (!isPlusOffered && !mechanisms.includes(SCRAM_SHA_256)) {
      throw new LoginProblem("the target offers no SASL mechanism that is supported", {
        detail: `the server offers ${inWords(mechanisms.join(", "))}; SCRAM-SHA-256 is supported`,
      });
    }
    if (this.#peer === null) {
      if (isPlusOffered) throw unexpected();
      return { kind: "impossible" };
    }
    const certificate = this.#peer.certificateDer;
    const certificateHash = certificate === null ? null : tlsServerEndPoint(certificate);
    if (certificateHash !== null) return isPlusOffered ? { kind: "bound", certificateHash } : { kind: "notOffered" };
    // Nothing has verified this server: without the binding, anybody in between could go on as the gateway.
    if (this.#settings.tls === "require" && this.#settings.ca === null) {
      throw new LoginProblem(
        "the target's certificate allows no channel binding (Ed25519); use tls: verify-ca or verify-full",
      );
    }
    return { kind: "impossible" };
  }

  #password(): string {
    const { password } = this.#settings;
    if (password === null) throw new LoginProblem("the target asks for a password, and its settings have none");
    return password;
  }

  /** For methods that give the password, or what is as good as one, to whoever asks. */
  #passwordToReveal(how: string): string {
    if (this.#settings.tls !== "verify-full" && !this.#upstream.isLoopback) {
      throw new LoginProblem(
        `the target asks for the password ${how}, which is sent only under tls: verify-full or on the same machine`,
      );
    }
    return this.#password();
  }

  /** The next Authentication message; notices and the protocol's version may come before it. */
  async #nextAuthentication(): Promise<Authentication> {
    for (;;) {
      const message = await this.#stream.message();
      if (message.type === BACKEND.authentication) return decodeAuthentication(message.body);
      if (message.type === BACKEND.negotiateProtocolVersion) this.#negotiate(message.body);
      else this.#takeReport(message);
    }
  }

  async #untilReady(): Promise<LoggedIn> {
    const parameterStatus = new Map<string, string>();
    let key: LoggedIn["key"] = null;
    for (;;) {
      const message = await this.#stream.message();
      switch (message.type) {
        case BACKEND.parameterStatus: {
          const { name, value } = decodeParameterStatus(message.body);
          parameterStatus.set(name, value);
          break;
        }
        case BACKEND.backendKeyData: {
          const { processId, secret } = decodeBackendKeyData(message.body);
          key = { processId, secret: secret.slice() };
          break;
        }
        case BACKEND.readyForQuery:
          return this.#ready(parameterStatus, key, decodeReadyForQuery(message.body));
        default:
          this.#takeReport(message);
      }
    }
  }

  #ready(parameterStatus: Map<string, string>, key: LoggedIn["key"], transactionStatus: TransactionStatus): LoggedIn {
    const stream = this.#stream;
    return {
      kind: "loggedIn",
      parameterStatus,
      key,
      protocolMinor: this.#minor,
      transactionStatus,
      notices: this.#notices,
      get leftover() {
        return stream.rest;
      },
    };
  }

  #negotiate(body: Uint8Array): void {
    const { minor, unknownOptions } = decodeNegotiateProtocolVersion(body);
    if (this.#hasNegotiated || minor > this.#minor || unknownOptions.length > 0) throw unexpected();
    this.#hasNegotiated = true;
    this.#minor = minor;
  }

  /** Keeps a notice; throws what an error says. */
  #takeReport(message: Message): void {
    if (message.type === BACKEND.notice) {
      this.#notices.push(message.raw.slice());
      return;
    }
    if (message.type === BACKEND.error) throw refusedByServer(message.body);
    throw unexpected();
  }

  #send(bytes: Uint8Array): void {
    this.#upstream.write(this.#permit, bytes);
  }
}

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

function unexpected(): LoginProblem {
  return new LoginProblem("the target does not keep to PostgreSQL's protocol");
}

const INVALID_AUTHORIZATION_CLASS = "28";

/** The server's words reach the client unless they are about the gateway's own account or its address. */
function refusedByServer(body: Uint8Array): LoginProblem {
  const { fields } = decodeErrorFields(body);
  const words = inWords(fields.get("M") ?? "");
  const sqlState = isSqlState(fields.get("C")) ? (fields.get("C") ?? null) : null;
  const detail = `the server refuses the login: ${words}`;
  const isPrivate = sqlState === null || sqlState.startsWith(INVALID_AUTHORIZATION_CLASS);
  return new LoginProblem(isPrivate ? "the target does not accept the gateway's login" : detail, { detail, sqlState });
}

const WORDS_CHARS_MAX = 500;

/** A server's text, fit for a log's line: bounded, without control characters. */
function inWords(text: string): string {
  let words = "";
  for (const character of text) {
    if (words.length >= WORDS_CHARS_MAX) return `${words}...`;
    words += character < " " || (character >= "\u007f" && character < "\u00a0") ? " " : character;
  }
  return words;
}

/** Five digits and upper-case letters. */
function isSqlState(code: string | undefined): boolean {
  if (code?.length !== 5) return false;
  for (const char of code) if (!(char >= "0" && char <= "9") && !(char >= "A" && char <= "Z")) return false;
  return true;
}

class TimeExceeded extends LoginProblem {}

/** Ends the stream and the connection after a while; the function it returns takes that back. */
function limitTime(stream: LoginStream, upstream: Upstream, timeMs: number): () => void {
  const timer = setTimeout(() => {
    stream.fail(new TimeExceeded(`the target did not finish the login within ${timeMs} ms`));
    upstream.close();
  }, timeMs);
  return () => clearTimeout(timer);
}

function problemOf(error: unknown): LoginProblem {
  if (error instanceof LoginProblem) return error;
  if (error instanceof ScramError) return new LoginProblem(error.message);
  if (error instanceof WireError) {
    return new LoginProblem("the target does not speak PostgreSQL's protocol", { detail: error.message });
  }
  return new LoginProblem("the login to the target failed", {
    detail: error instanceof Error ? error.message : "unknown error",
  });
}

function failureOf(problem: LoginProblem): LoginFailure {
  return { kind: "loginFailure", code: problem.sqlState, message: problem.message, detail: problem.detail };
}
