/** A TCP relay in front of a target that sees every byte on its way there, and that can make the target vanish. */
import { connect, createServer, type Server, type Socket } from "node:net";

export type Tap = {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** How often this text was sent to the target. */
  saw(text: string): number;
  /** Breaks every connection and takes no more. */
  vanish(): Promise<void>;
  /** Takes connections again, on the same port. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
};

/** Starts a relay to a port of this machine. */
export async function startTap(targetPort: number): Promise<Tap> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  let port = 0;

  const join = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
    from.on("error", () => to.destroy());
    from.pipe(to);
  };
  const listen = async (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server = createServer((client) => {
      const target = connect(targetPort, "127.0.0.1");
      client.on("data", (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
      join(client, target);
      join(target, client);
    });
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server?.address();
      if (typeof address === "object" && address !== null && address !== undefined) port = address.port;
      resolve();
    });
    await promise;
  };
  const vanish = async (): Promise<void> => {
    const closing = server;
    if (closing === null) return;
    server = null;
    const { promise, resolve } = Promise.withResolvers<void>();
    closing.close(() => resolve());
    for (const socket of sockets) socket.destroy();
    await promise;
  };

  await listen();
  return {
    host: "127.0.0.1",
    port,
    saw: (text) => Buffer.concat(chunks).toString("latin1").split(text).length - 1,
    vanish,
    comeBack: async () => {
      if (server === null) await listen();
    },
    stop: vanish,
  };
}
