/** A TCP relay in front of a target that sees every byte on its way there, can hold a connection back, and can make the target vanish. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./free-port.ts";
import { endInTime } from "../end-in-time.ts";

export type Tap = {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** How often this text was sent to the target. */
  saw(text: string): number;
  /** How many bytes were sent to the target on connections that also sent this text. */
  bytesOf(text: string): number;
  /** The texts of all Query and Parse messages that were sent to the target whole. */
  statements(): readonly string[];
  /** Holds back the next connection that begins with this text; resolves, when it is there, to what lets it go on. */
  holdBack(text: string): Promise<() => void>;
  /** Breaks every connection and takes no more. */
  vanish(): Promise<void>;
  /** Takes connections again, on the same port. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
};

/** Starts a relay to a port of this machine. */
export async function startTap(targetPort: number): Promise<Tap> {
  /** What was sent to the target, by connection. */
  const streams: Buffer[][] = [];
  const sockets = new Set<Socket>();
  const waiting = new Map<string, (release: () => void) => void>();
  let server: Server | null = null;
  // Not one of the system's choice, which somebody else may have while nobody listens there.
  const port = await freePort();

  const watch = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
    from.on("error", () => to.destroy());
  };
  /** Relays what a client sends, unless somebody waits for its first bytes. */
  const begin = (client: Socket, target: Socket): void => {
    client.once("data", (first: Buffer) => {
      const go = (): void => {
        target.write(first);
        client.pipe(target);
      };
      const text = [...waiting.keys()].find((each) => first.includes(each)) ?? "";
      const hold = waiting.get(text);
      waiting.delete(text);
      if (hold === undefined) go();
      else hold(go);
    });
  };
  const listen = async (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server = createServer((client) => {
      const target = connect(targetPort, "127.0.0.1");
      const stream: Buffer[] = [];
      streams.push(stream);
      client.on("data", (chunk: Buffer) => {
        stream.push(Buffer.from(chunk));
      });
      watch(client, target);
      watch(target, client);
      begin(client, target);
      target.pipe(client);
    });
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
    await promise;
  };
  const vanish = async (): Promise<void> => {
    const closing = server;
    if (closing === null) return;
    server = null;
    const { promise, resolve } = Promise.withResolvers<void>();
    closing.close(() => resolve());
    for (const socket of sockets) socket.destroy();
    await endInTime("a relay", promise);
  };

  await listen();
  return {
    host: "127.0.0.1",
    port,
    bytesOf: (text) =>
      streams
        .map((stream) => Buffer.concat(stream))
        .filter((stream) => stream.includes(text))
        .reduce((sum, stream) => sum + stream.length, 0),
    statements: () => streams.flatMap((stream) => statementsIn(Buffer.concat(stream))),
    // Each connection by itself: a text may come in pieces, with those of another connection between them.
    saw: (text) =>
      streams
        .map((stream) => Buffer.concat(stream).toString("latin1").split(text).length - 1)
        .reduce((sum, times) => sum + times, 0),
    holdBack: (text) => {
      const { promise, resolve } = Promise.withResolvers<() => void>();
      waiting.set(text, resolve);
      return promise;
    },
    vanish,
    comeBack: async () => {
      if (server === null) await listen();
    },
    stop: vanish,
  };
}

/** The texts in what one client sent without TLS: PostgreSQL's frontend messages behind a startup message. */
function statementsIn(stream: Buffer): string[] {
  const texts: string[] = [];
  const text = (at: number): string => stream.toString("utf8", at, stream.indexOf(0, at));
  for (let at = stream.length < 4 ? 4 : stream.readInt32BE(0); at + 5 <= stream.length;) {
    const type = stream.toString("latin1", at, at + 1);
    const end = at + 1 + stream.readInt32BE(at + 1);
    if (end > stream.length) break;
    if (type === "Q") texts.push(text(at + 5));
    if (type === "P") texts.push(text(stream.indexOf(0, at + 5) + 1));
    at = end;
  }
  return texts;
}
