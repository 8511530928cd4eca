/** A client that does as little as possible, so that it is never what is measured: it drains replies without reading them. */
import type { Socket } from "bun";
import type { Peer } from "./peers.ts";

/** A session that has logged in. */
export type RawClient = {
  /** Sends a query and resolves to the bytes of its whole reply; rejects with the server's error. */
  drain(sql: string): Promise<number>;
  /** Runs COPY ... FROM STDIN with `message` (whole CopyData messages) sent `count` times; resolves to the bytes sent. */
  copyIn(sql: string, message: Uint8Array, count: number): Promise<number>;
  close(): void;
};

const PROTOCOL_3_0 = 196_608;
const HEADER_BYTES = 5;
const TYPE = { authentication: 0x52, error: 0x45, ready: 0x5a, copyIn: 0x47 } as const;
const AUTHENTICATION = { ok: 0, cleartext: 3 } as const;
/** ReadyForQuery outside a transaction: with it every reply ends. */
const READY = Buffer.from([TYPE.ready, 0, 0, 0, 5, 0x49]);

type Reply = { bytes: number; head: Buffer; tail: Buffer };

export async function connectRaw(peer: Peer): Promise<RawClient> {
  let reply: Reply = emptyReply();
  let waiting: { until: (reply: Reply) => boolean; settle: PromiseWithResolvers<Reply> } | null = null;
  let drained: (() => void) | null = null;
  let ended: Error | null = null;

  const fail = (error: Error): void => {
    ended ??= error;
    waiting?.settle.reject(ended);
    waiting = null;
  };
  const check = (): void => {
    if (waiting === null || !waiting.until(reply)) return;
    const { settle } = waiting;
    waiting = null;
    settle.resolve(reply);
  };
  const socket: Socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: peer.port,
    socket: {
      data: (_socket, chunk) => {
        reply.bytes += chunk.length;
        if (reply.head.length < 4096) reply.head = Buffer.concat([reply.head, chunk.subarray(0, 4096)]);
        // The end of a reply may be cut across two chunks.
        reply.tail =
          chunk.length >= READY.length
            ? Buffer.from(chunk.subarray(-READY.length))
            : Buffer.concat([reply.tail, chunk]).subarray(-READY.length);
        check();
      },
      drain: () => drained?.(),
      error: (_socket, error) => fail(error),
      close: () => fail(new Error(`${peer.name} closed the connection`)),
    },
  });

  const until = (test: (reply: Reply) => boolean): Promise<Reply> => {
    if (ended !== null) return Promise.reject(ended);
    waiting = { until: test, settle: Promise.withResolvers<Reply>() };
    const { promise } = waiting.settle;
    check();
    return promise;
  };
  const send = async (bytes: Uint8Array): Promise<void> => {
    for (let sent = 0; ;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      drained = resolve;
      const written = socket.write(bytes.subarray(sent));
      if (written < 0) throw ended ?? new Error(`${peer.name} closed the connection`);
      sent += written;
      if (sent >= bytes.length) return;
      await promise;
    }
  };
  const begin = (): void => void (reply = emptyReply());

  await send(startupMessage(peer));
  await until(({ head }) => head.length >= HEADER_BYTES + 4);
  if (reply.head[0] === TYPE.authentication && reply.head.readInt32BE(HEADER_BYTES) === AUTHENTICATION.cleartext) {
    begin();
    await send(message("p", `${peer.password}\0`));
  }
  await until(isComplete).then(refuseError);

  return {
    drain: async (sql) => {
      begin();
      await send(message("Q", `${sql}\0`));
      return refuseError(await until(isComplete)).bytes;
    },
    copyIn: async (sql, data, count) => {
      begin();
      await send(message("Q", `${sql}\0`));
      const answer = await until(({ head }) => head.length >= 1);
      if (answer.head[0] !== TYPE.copyIn) throw new Error(`no COPY: ${answer.head.toString("latin1")}`);
      begin();
      for (let i = 0; i < count; i++) await send(data);
      await send(message("c", ""));
      refuseError(await until(isComplete));
      return data.length * count;
    },
    close: () => void socket.end(message("X", "")),
  };
}

/** One whole message: its type, its length and its body. */
export function message(type: string, body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(HEADER_BYTES);
  head.write(type, "latin1");
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

function startupMessage(peer: Peer): Buffer {
  const parameters = Buffer.from(`user\0${peer.user}\0database\0${peer.database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(parameters.length + 8, 0);
  head.writeInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, parameters]);
}

function emptyReply(): Reply {
  return { bytes: 0, head: Buffer.alloc(0), tail: Buffer.alloc(0) };
}

function isComplete(reply: Reply): boolean {
  return reply.tail.equals(READY) || reply.head[0] === TYPE.error;
}

function refuseError(reply: Reply): Reply {
  if (reply.head[0] !== TYPE.error) return reply;
  throw new Error(reply.head.toString("utf8", HEADER_BYTES).replaceAll("\0", " ").trim());
}
