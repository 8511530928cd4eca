/** Plays the steps of a corpus entry, exactly as they are written, and keeps every message that comes back. */
import {
  encodeClose,
  encodeCopyData,
  encodeCopyDone,
  encodeDescribe,
  encodeExecute,
  encodeFlush,
  encodeFunctionCall,
  encodeParse,
  encodeQuery,
  encodeSync,
} from "../../adapters/postgres/protocol/frontend.ts";
import { bind } from "../e2e/postgres/messages.ts";
import { type Address, type Login, type Message, WireClient, WireClosed } from "../e2e/postgres/wire-client.ts";
import type { PipelinedMessage, Protocol, Step } from "./corpus.ts";

/** Where an entry is played: a server itself, or a target of a gateway. */
export type Stage = {
  readonly address: Address;
  readonly login: Login;
  /** Put in place of %DB%. */
  readonly database: string;
  /** Asks the server itself, as the superuser in that database; answers with one value. */
  readonly ask: (sql: string) => Promise<string>;
  /** Changes what the corpus has written for the machine it was made on: ports and paths. */
  readonly adapt?: (sql: string) => string;
};

/** What one connection got back. */
export type Heard = { readonly messages: readonly Message[]; readonly isEnded: boolean };

/** The answers of every connection, by its name; the first one is called A. */
export async function play(steps: readonly Step[], protocol: Protocol, stage: Stage): Promise<Map<string, Heard>> {
  const player = new Player(protocol, stage);
  try {
    for (const step of steps) await player.step(step);
    return player.heard();
  } finally {
    await player.leave();
  }
}

class Player {
  readonly #protocol: Protocol;
  readonly #stage: Stage;
  readonly #clients = new Map<string, WireClient>();
  #parameters: Readonly<Record<string, string>> = {};
  #current = "A";

  constructor(protocol: Protocol, stage: Stage) {
    this.#protocol = protocol;
    this.#stage = stage;
  }

  heard(): Map<string, Heard> {
    return new Map(
      [...this.#clients].map(([name, { received, isEnded }]) => [name, { messages: [...received], isEnded }]),
    );
  }

  async leave(): Promise<void> {
    for (const client of this.#clients.values()) await client.terminate();
  }

  async step(step: Step): Promise<void> {
    if (typeof step === "object" && "use" in step) this.#current = step.use;
    else if (typeof step === "object" && "startup" in step) this.#parameters = step.startup;
    else await this.#send(step);
  }

  async #send(step: Exclude<Step, { use: string } | { startup: object }>): Promise<void> {
    const client = await this.#client();
    if (client.isEnded) return;
    try {
      await this.#converse(client, step);
    } catch (error) {
      if (!(error instanceof WireClosed)) throw error;
    }
  }

  async #converse(client: WireClient, step: Exclude<Step, { use: string } | { startup: object }>): Promise<void> {
    if (typeof step === "string") {
      const sql = await this.#text(step);
      if (this.#protocol === "simple") return answered(client, encodeQuery(sql));
      return answered(
        client,
        encodeParse("", sql),
        bind("", ""),
        encodeDescribe("portal", ""),
        encodeExecute(""),
        encodeSync(),
      );
    }
    if ("q" in step) return answered(client, encodeQuery(await this.#text(step.q)));
    if ("copyData" in step) {
      // Nobody waits for data when the COPY was refused.
      if (client.received.at(-1)?.type !== "G") return;
      return answered(client, encodeCopyData(Buffer.from(step.copyData)), encodeCopyDone());
    }
    if ("f" in step) {
      const functionOid = Number(await this.#stage.ask(step.f.oidSql));
      return answered(
        client,
        encodeFunctionCall({
          functionOid,
          argumentFormats: [],
          arguments: step.f.args.map((argument) => Buffer.from(argument)),
          resultFormat: step.f.rfmt ?? 0,
        }),
      );
    }
    const messages: PipelinedMessage[] = [...step.x];
    if (messages.at(-1)?.[0] !== "S") messages.push(["S"]);
    const parts: Uint8Array[] = [];
    for (const message of messages) parts.push(await this.#encode(message));
    client.send(...parts);
    await client.ready(messages.filter(([type]) => type === "S" || type === "Q").length);
  }

  async #encode(message: PipelinedMessage): Promise<Uint8Array> {
    switch (message[0]) {
      case "P":
        return encodeParse(message[1], await this.#text(message[2]), message[3] ?? []);
      case "B":
        return bind(message[1], message[2], message[3] ?? [], { resultFormats: message[4] ?? [] });
      case "D":
        return encodeDescribe(message[1] === "S" ? "statement" : "portal", message[2]);
      case "C":
        return encodeClose(message[1] === "S" ? "statement" : "portal", message[2]);
      case "E":
        return encodeExecute(message[1], message[2] ?? 0);
      case "Q":
        return encodeQuery(await this.#text(message[1]));
      case "S":
        return encodeSync();
      case "H":
        return encodeFlush();
    }
  }

  async #client(): Promise<WireClient> {
    const known = this.#clients.get(this.#current);
    if (known !== undefined) return known;
    const { address, login } = this.#stage;
    const client = await WireClient.open(address);
    this.#clients.set(this.#current, client);
    client.sendStartup({ ...login, parameters: { ...login.parameters, ...this.#parameters } });
    try {
      await client.finishLogin(login.password);
    } catch (error) {
      if (!(error instanceof WireClosed)) throw error;
    }
    return client;
  }

  /** The statement with what belongs to this database in place of its placeholders. */
  async #text(sql: string): Promise<string> {
    let text = (this.#stage.adapt?.(sql) ?? sql).replaceAll("%DB%", this.#stage.database);
    for (const [whole, relation = ""] of text.matchAll(/%OID:([^%]+)%/gu)) {
      text = text.replaceAll(whole, await this.#stage.ask(`SELECT '${relation}'::regclass::oid::text`));
    }
    return text;
  }
}

/** Sends and waits until the server is ready for the next statement, or for COPY data. */
async function answered(client: WireClient, ...parts: readonly Uint8Array[]): Promise<void> {
  client.send(...parts);
  for (;;) {
    const { type } = await client.next();
    if (type === "Z" || type === "G") return;
  }
}
