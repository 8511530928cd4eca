/** The Postgres listener: accepts clients, bounds their logins, and keeps their conversations until it is drained. */
import type { Clock, Door, Listen, Served } from "../../src/core/ports.ts";
import { CancelKeys } from "./cancel-keys.ts";
import { acceptHandlers, type ClientStream } from "./client-stream.ts";
import { Conversation } from "./conversation.ts";
import { Databases } from "./databases.ts";
import { admit, type Admitted } from "./login.ts";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeParameterStatus,
  encodeReadyForQuery,
} from "./protocol/backend.ts";
import { encodeRefusal } from "./refuse.ts";
import { refusal } from "../../src/core/decision.ts";

/** Connections that have not logged in yet; more are closed at once. */
const LOGINS_MAX = 256;

export async function serve(door: Door, listen: Listen, clock: Clock): Promise<Served> {
  const { limits } = listen;
  const databases = new Databases(door, clock, limits.statementBytesMax);
  const cancelKeys = new CancelKeys<Conversation>();
  const conversations = new Set<Conversation>();
  const logins = new Set<ClientStream>();
  let isDraining = false;
  let whenEmpty: (() => void) | null = null;

  const accepted = (client: ClientStream): void => {
    if (isDraining || logins.size >= LOGINS_MAX) return client.terminate();
    logins.add(client);
    const timer = setTimeout(() => {
      client.write(encodeRefusal(refusal("limit", `no login within ${limits.loginTimeMs} ms`), "FATAL"));
      client.end();
    }, limits.loginTimeMs);
    const parts = {
      door,
      clock,
      databases,
      tls: listen.tls,
      cancel: (key: { processId: number; secret: Uint8Array }, source: string) =>
        cancelKeys.find(key, source, clock.now())?.cancelRequested(),
    };
    void admit(client, parts)
      .then((admitted) => {
        if (admitted !== null) begin(client, admitted);
      })
      .finally(() => {
        clearTimeout(timer);
        logins.delete(client);
      });
  };

  const begin = (client: ClientStream, admitted: Admitted): void => {
    const { database, opened, upstream, login, protocolMinor } = admitted;
    database.acquire();
    const conversation: Conversation = new Conversation({
      door,
      opened,
      client,
      upstream,
      login,
      database,
      statementBytesMax: limits.statementBytesMax,
      greet: () => {
        const key = cancelKeys.issue(protocolMinor, conversation);
        client.write(encodeAuthenticationOk());
        for (const [name, value] of login.parameterStatus) client.write(encodeParameterStatus(name, value));
        client.write(encodeBackendKeyData(key.processId, key.secret));
        for (const notice of login.notices) client.write(notice);
        client.write(encodeReadyForQuery(login.transactionStatus));
        return () => cancelKeys.withdraw(key);
      },
      cancelBackend: (permit) => database.cancel(opened, permit, login),
      onFault: (error) => {
        const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
        door.report(`session ${opened.session.id} was ended by a fault of the gateway's own: ${what}`);
      },
      onEnd: () => {
        database.release();
        conversations.delete(conversation);
        if (conversations.size === 0) whenEmpty?.();
      },
    });
    conversations.add(conversation);
    conversation.begin();
    if (isDraining) conversation.drain();
  };

  const listener = Bun.listen<ClientStream>({
    hostname: listen.host,
    port: listen.port,
    socket: acceptHandlers(accepted),
  });

  return {
    port: listener.port,
    async drain() {
      isDraining = true;
      listener.stop();
      for (const client of logins) client.end();
      for (const conversation of conversations) conversation.drain();
      if (conversations.size > 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        whenEmpty = resolve;
        const timer = setTimeout(() => {
          const late = refusal("draining", `the gateway is shutting down and ${limits.drainTimeMs} ms have passed`);
          for (const conversation of conversations) conversation.end(late);
        }, limits.drainTimeMs);
        await promise;
        clearTimeout(timer);
      }
      databases.stop();
    },
  };
}
