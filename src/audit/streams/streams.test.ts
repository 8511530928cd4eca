/** Streams to real receivers: what arrives is every entry in order, also over failures and restarts, and nothing waits for it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "../../../test/servers/certificates.ts";
import { freePort } from "../../../test/servers/free-port.ts";
import { runOnce } from "../../../test/tampered-log.ts";
import { selectRange, type SelectedEntry } from "../export/selection.ts";
import { LogReader } from "../query.ts";
import { StreamCursor } from "./cursor.ts";
import { OtlpSender } from "./otlp.ts";
import type { Sender } from "./sender.ts";
import { Stream, type StreamState } from "./stream.ts";
import { syslogMessage, SyslogSender } from "./syslog.ts";

const SOURCE = { gateway: "gw-1.example.com", version: "0.1.0" };
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-streams-"));
  await runOnce(folder, 100);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function entries(): Promise<SelectedEntry[]> {
  const log = LogReader.open(folder);
  try {
    return await Array.fromAsync(selectRange(log, 0, await log.size()));
  } finally {
    log.close();
  }
}

/**
 * Runs a stream from an index until all was sent; answers its states. `attempts`: how often it looks before it is told
 * to end. `isOver`: told to end only then, and it waits a little between its looks.
 */
async function runStream(
  sender: Sender,
  next: number | null,
  more: { attempts?: number; isOver?: (state: StreamState) => boolean; behindMax?: number; begin?: number } = {},
): Promise<StreamState[]> {
  const log = LogReader.open(folder);
  const cursor = new StreamCursor(join(folder, "stream.cursor"));
  if (next !== null) cursor.write(next);
  const states: StreamState[] = [];
  let left = more.attempts ?? 1;
  const { behindMax, isOver, begin = 0 } = more;
  const onState = (state: StreamState): void => void states.push(state);
  const pause = async (): Promise<void> => (isOver === undefined ? undefined : Bun.sleep(5));
  const isEnding = (): boolean => {
    const state = states.at(-1);
    return isOver === undefined ? --left <= 0 : state !== undefined && isOver(state);
  };
  try {
    const parts = { log, cursor, sender, begin, onState, pause, isEnding };
    await new Stream(behindMax === undefined ? parts : { ...parts, behindMax }).run();
  } finally {
    await sender.close();
    log.close();
  }
  return states;
}

class Collector implements Sender {
  readonly taken: number[] = [];
  fails = 0;
  async send(batch: readonly SelectedEntry[]): Promise<number> {
    if (this.fails-- > 0) throw new Error("not now");
    this.taken.push(...batch.map(({ index }) => index));
    return 0;
  }
  async close(): Promise<void> {}
}

describe("a stream", () => {
  test("that is new begins with what came since it was to begin, however late it looks", async () => {
    const sender = new Collector();
    const { length } = await entries();
    await runOnce(folder, 20, 1_760_000_900_000);
    await runStream(sender, null, { begin: length });
    const all = await entries();
    expect(all.length).toBeGreaterThan(length);
    expect(sender.taken).toEqual(all.slice(length).map(({ index }) => index));
    // What it has sent it knows by itself.
    await runStream(sender, null, { begin: 0 });
    expect(sender.taken).toHaveLength(all.length - length);
  });

  test("goes on where it was, after failures and after a restart, and sends nothing twice", async () => {
    const sender = new Collector();
    sender.fails = 3;
    const states = await runStream(sender, 0, { attempts: 5 });
    expect(states.some(({ failure }) => failure === "not now")).toBe(true);
    expect(states.at(-1)?.failure).toBeNull();
    await runStream(sender, null);
    expect(sender.taken).toEqual((await entries()).map(({ index }) => index));
  });

  test("that is too far behind lets the oldest go, and counts them", async () => {
    const sender = new Collector();
    const states = await runStream(sender, 0, { behindMax: 30 });
    const { length } = await entries();
    expect(sender.taken).toEqual(Array.from({ length: 30 }, (_, i) => length - 30 + i));
    expect(states.at(-1)?.dropped).toBe(length - 30);
  });
});

/** Octet counting, by the letter of RFC 5425. */
function readFrames(bytes: Buffer): string[] {
  const frames: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.subarray(at, space).toString());
    expect(Number.isSafeInteger(length) && length > 0).toBe(true);
    frames.push(bytes.subarray(space + 1, space + 1 + length).toString("utf8"));
    at = space + 1 + length;
  }
  return frames;
}

describe("syslog", () => {
  test("over TLS to openssl: every entry, in order, framed by RFC 5425 and formed by RFC 5424", async () => {
    const authority = createAuthority();
    const { cert, key } = authority.issue("localhost", { names: ["DNS:localhost", "IP:127.0.0.1"] });
    writeFileSync(join(folder, "cert.pem"), cert);
    writeFileSync(join(folder, "key.pem"), key);
    const port = await freePort();
    const server = Bun.spawn(
      [
        "openssl",
        "s_server",
        "-accept",
        `127.0.0.1:${port}`,
        "-cert",
        join(folder, "cert.pem"),
        "-key",
        join(folder, "key.pem"),
        "-quiet",
        "-naccept",
        "1",
      ],
      { stdin: "pipe", stdout: "pipe", stderr: "ignore" },
    );
    try {
      const output = new Response(server.stdout).arrayBuffer();
      const sender = new SyslogSender({ host: "127.0.0.1", port, ca: authority.cert }, SOURCE);
      // It is not there yet at the first looks; that it listens could only be asked by the one connection that it takes.
      const isOver = ({ next }: StreamState): boolean => next > 0 || server.exitCode !== null;
      const states = await runStream(sender, 0, { isOver });
      expect(states.at(-1)?.failure).toBeNull();
      const frames = readFrames(Buffer.from(await output));
      const all = await entries();
      expect(frames.length).toBe(all.length);
      for (const [i, entry] of all.entries()) expect(frames[i]).toBe(syslogMessage(entry, SOURCE));
    } finally {
      server.kill("SIGKILL");
      await server.exited;
    }
  });

  test("is not sent to a server whose certificate is another authority's", async () => {
    const { cert, key } = createAuthority().issue("localhost", { names: ["IP:127.0.0.1"] });
    const taken: string[] = [];
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key },
      socket: { data: (_socket, data) => void taken.push(data.toString()) },
    });
    try {
      const sender = new SyslogSender({ host: "127.0.0.1", port: server.port, ca: createAuthority().cert }, SOURCE);
      const states = await runStream(sender, 0);
      expect(states.at(-1)?.failure).not.toBeNull();
      expect(states.at(-1)?.next).toBe(0);
      expect(taken).toEqual([]);
    } finally {
      server.stop(true);
    }
  });

  test("escapes what names may hold, and leaves out a leaf that would make a message too large", async () => {
    const [first] = await entries();
    if (first === undefined) throw new Error("the log is empty");
    const facts = { id: 'a"b]c\\d\ne', subject: "s".repeat(1000), big: "x".repeat(9000) };
    const entry: SelectedEntry = {
      ...first,
      json: JSON.stringify(facts),
      leaf: { ...first.leaf, shape: "event", event: "login failed é", facts },
      operation: null,
    };
    const message = syslogMessage(entry, { ...SOURCE, gateway: "gw é 1" });
    const head = message.split(" ");
    expect(head[0]).toBe("<109>1");
    expect(head.slice(2, 6)).toEqual(["gw___1", "weir", "-", "login_failed__"]);
    expect(message).toContain(' id="a\\"b\\]c\\\\d?e"');
    expect(message).toContain(` subject="${"s".repeat(256)}"`);
    expect(message).toEndWith(' leaf="left out"]');
  });
});

describe("OTLP", () => {
  type Received = {
    path: string;
    headers: Record<string, string>;
    body: { resourceLogs: { scopeLogs: { logRecords: Record<string, unknown>[] }[] }[] };
  };

  async function withReceiver(
    answer: (request: number) => Response,
    work: (url: string, received: Received[]) => Promise<void>,
  ): Promise<void> {
    const received: Received[] = [];
    let requests = 0;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        const response = answer(requests++);
        if (response.ok) {
          const body = (await request.json()) as Received["body"];
          received.push({ path: new URL(request.url).pathname, headers: Object.fromEntries(request.headers), body });
        }
        return response;
      },
    });
    try {
      await work(`http://127.0.0.1:${server.port}/v1/logs`, received);
    } finally {
      await server.stop(true);
    }
  }
  const records = (received: readonly Received[]): Record<string, unknown>[] =>
    received.flatMap(({ body }) =>
      body.resourceLogs.flatMap((each) => each.scopeLogs.flatMap(({ logRecords }) => logRecords)),
    );

  test("every entry arrives in order, also when the receiver was not ready at first", async () => {
    await withReceiver(
      (request) => (request < 2 ? new Response("", { status: 503 }) : Response.json({})),
      async (url, received) => {
        const states = await runStream(new OtlpSender({ url, headers: { "x-key": "k" } }, SOURCE), 0, { attempts: 5 });
        expect(states.at(-1)).toMatchObject({ failure: null, dropped: 0 });
        expect(received[0]).toMatchObject({
          path: "/v1/logs",
          headers: { "content-type": "application/json", "x-key": "k" },
        });
        const all = await entries();
        expect(records(received).map(({ body }) => body)).toEqual(all.map(({ json }) => ({ stringValue: json })));
        expect(records(received)[0]).toMatchObject({
          eventName: "audit.opened",
          severityNumber: 9,
          timeUnixNano: `${all[0]?.leaf.timeMs}000000`,
        });
      },
    );
  });

  test("what the receiver does not take is counted, and not sent again", async () => {
    const { length } = await entries();
    await withReceiver(
      (request) =>
        request === 0
          ? new Response("", { status: 400 })
          : Response.json({ partialSuccess: { rejectedLogRecords: "3" } }),
      async (url, received) => {
        const states = await runStream(new OtlpSender({ url, headers: {} }, SOURCE), 0, { attempts: 3 });
        expect(states.at(-1)).toMatchObject({ next: length, dropped: length > 256 ? 256 + 3 : length });
        expect(records(received)).toHaveLength(Math.max(0, length - 256));
      },
    );
  });

  test("an answer that has no end is not read to its end", async () => {
    await withReceiver(
      () => new Response("x".repeat(1_000_000)),
      async (url) => {
        const states = await runStream(new OtlpSender({ url, headers: {} }, SOURCE), 0);
        expect(states.at(-1)).toMatchObject({ next: 0, failure: "the answer has more than 65536 bytes" });
      },
    );
  });

  test.each([
    [-5, 0],
    ["nonsense", 0],
    [1e9, 1],
  ])("no more are counted as not taken than were sent: %p", async (said, all) => {
    const { length } = await entries();
    await withReceiver(
      () => Response.json({ partialSuccess: { rejectedLogRecords: said } }),
      async (url) => {
        const states = await runStream(new OtlpSender({ url, headers: {} }, SOURCE), 0);
        expect(states.at(-1)).toMatchObject({ next: length, dropped: all * length });
      },
    );
  });

  test("a redirect is not followed: it would take the credentials along", async () => {
    await withReceiver(
      () => Response.redirect("http://127.0.0.1:1/elsewhere", 307),
      async (url) => {
        const states = await runStream(new OtlpSender({ url, headers: { authorization: "Bearer s" } }, SOURCE), 0);
        expect(states.at(-1)?.dropped).toBeGreaterThan(0);
      },
    );
  });
});
