/** The clients of one gateway: bounds their logins, and keeps their conversations until they are drained. */
import { refusal } from "../../src/core/decision.ts";
import type { Arrival, Clock, Door, ListenLimits } from "../../src/core/ports.ts";
import { CancelKeys } from "./cancel-keys.ts";
import type { ClientLink } from "./client-link.ts";
import type { ClientStream, ServerTls } from "./client-stream.ts";
import { Conversation } from "./conversation.ts";
import { Databases } from "./databases.ts";
import { admit, admitArriving, type Admitted, type LoginParts } from "./login.ts";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "./protocol/backend.ts";
import { encodeRefusal } from "./refuse.ts";

/** Connections that have not logged in yet; more are closed at once. */
const LOGINS_MAX = 256;

export class Clients {
  readonly #door: Door;
  readonly #limits: ListenLimits;
  readonly #databases: Databases;
  readonly #cancelKeys = new CancelKeys<Conversation>();
  readonly #conversations = new Set<Conversation>();
  readonly #logins = new Set<ClientLink>();
  /** Apart from the others: strangers cannot fill it. */
  readonly #arriving = new Set<ClientLink>();
  readonly #loginParts: LoginParts;
  readonly #clock: Clock;
  #isDraining = false;
  #whenEmpty: (() => void) | null = null;

  constructor(door: Door, clock: Clock, limits: ListenLimits) {
    this.#door = door;
    this.#clock = clock;
    this.#limits = limits;
    this.#databases = new Databases(door, clock, limits.statementBytesMax);
    this.#loginParts = {
      door,
      clock,
      databases: this.#databases,
      cancel: (key, source) => this.#cancelKeys.find(key, source, clock.now())?.cancelRequested(),
    };
  }

  /** A socket has been accepted. */
  accepted(client: ClientStream, tls: ServerTls | null): void {
    if (this.#isDraining || this.#logins.size >= LOGINS_MAX) return client.terminate();
    this.#logIn(client, this.#logins, admit(client, this.#loginParts, tls));
  }

  /** A forward leads here. */
  arrived(client: ClientLink, arrival: Arrival): void {
    if (this.#isDraining || this.#arriving.size >= LOGINS_MAX) return client.end();
    this.#logIn(client, this.#arriving, admitArriving(client, this.#loginParts, arrival));
  }

  /** Ends idle conversations at once, and the rest when they are idle or the drain time has passed. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const client of [...this.#logins, ...this.#arriving]) client.end();
    for (const conversation of this.#conversations) conversation.drain();
    if (this.#conversations.size > 0) {
      const { drainTimeMs } = this.#limits;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#whenEmpty = resolve;
      const timer = setTimeout(() => {
        const late = refusal("draining", `the gateway is shutting down and ${drainTimeMs} ms have passed`);
        for (const conversation of this.#conversations) conversation.end(late);
      }, drainTimeMs);
      await promise;
      clearTimeout(timer);
    }
    this.#databases.stop();
  }

  #logIn(client: ClientLink, logins: Set<ClientLink>, login: Promise<Admitted | null>): void {
    logins.add(client);
    const { loginTimeMs } = this.#limits;
    const timer = setTimeout(() => {
      client.write(encodeRefusal(refusal("limit", `no login within ${loginTimeMs} ms`), "FATAL"));
      client.end();
    }, loginTimeMs);
    void login
      .then((admitted) => {
        if (admitted !== null) this.#begin(client, admitted);
      })
      .finally(() => {
        clearTimeout(timer);
        logins.delete(client);
      });
  }

  #begin(client: ClientLink, admitted: Admitted): void {
    const { database, opened, upstream, login, masking, protocolMinor } = admitted;
    const door = this.#door;
    database.acquire();
    const conversation: Conversation = new Conversation({
      door,
      opened,
      client,
      upstream,
      login,
      database,
      masking,
      clock: this.#clock,
      statementBytesMax: this.#limits.statementBytesMax,
      greet: () => {
        const key = this.#cancelKeys.issue(protocolMinor, conversation);
        client.write(encodeAuthenticationOk());
        for (const [name, value] of login.parameterStatus) client.write(encodeParameterStatus(name, value));
        client.write(encodeBackendKeyData(key.processId, key.secret));
        // What the server says at the login is about its own account, and may come from functions of the database.
        if (masking.plan === null) for (const notice of login.notices) client.write(notice);
        client.write(encodeReadyForQuery(login.transactionStatus));
        return () => this.#cancelKeys.withdraw(key);
      },
      cancelBackend: (permit) => database.cancel(opened, permit, login),
      onEnd: () => {
        database.release();
        this.#conversations.delete(conversation);
        if (this.#conversations.size === 0) this.#whenEmpty?.();
      },
    });
    this.#conversations.add(conversation);
    conversation.begin();
    if (this.#isDraining) conversation.drain();
  }
}
