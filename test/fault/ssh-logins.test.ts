/** Whoever has not logged in over SSH may try little, for a short time, among few others, and leaves nothing behind. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "ssh2";
import { opensshOptions } from "../e2e/ssh/clients.ts";
import { type Ran, run } from "../e2e/ssh/programs.ts";
import { type Road, SshRoads, TEST_TIME_MS_MAX } from "../e2e/ssh/roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

/** OpenSSH's MaxAuthTries, and the number of startups of one source (PerSourceMaxStartups). */
const TRIES_MAX = 6;
const STARTUPS_MAX = 100;
const BANNER = "SSH-2.0-test\r\n";
/** What ssh ends with when its connection ends, or never begins. */
const NOT_LOGGED_IN = 255;

const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
const CONNECTIONS = IS_LONG ? 50_000 : 3_000;
const AT_ONCE = 8;
const SESSIONS = 100;
const GROWTH_BYTES_MAX = 100 * 1024 * 1024;

let roads: SshRoads;
let road: Road;
/** Where nobody has long to log in. */
let hasty: SshRoads;
let folder: string;
beforeAll(async () => {
  roads = await SshRoads.start();
  hasty = await SshRoads.start({ gateway: { limits: { loginTime: "2s" } } });
  [, road] = roads.all;
  folder = mkdtempSync(join(tmpdir(), "weir-test-ssh-logins-"));
});
afterAll(async () => {
  await roads.stop();
  await hasty.stop();
  rmSync(folder, { recursive: true });
});

/** A connection that has said nothing yet. */
type Visitor = { readonly socket: Socket; readonly closed: Promise<void>; received(): string };

async function visit({ port, host }: Road): Promise<Visitor> {
  const socket = connect(port, host);
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let received = "";
  socket.on("connect", () => opened.resolve());
  socket.on("data", (bytes) => void (received += bytes.toString("latin1")));
  socket.on("error", () => opened.resolve());
  socket.on("close", () => {
    opened.resolve();
    closed.resolve();
  });
  await opened.promise;
  return { socket, closed: closed.promise, received: () => received };
}

/** Resolves when the listener has greeted or gone away; true: it greeted. */
async function greeted(visitor: Visitor): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const look = (): void => {
    if (visitor.received().includes("\n")) resolve(true);
  };
  visitor.socket.on("data", look);
  look();
  void visitor.closed.then(() => resolve(false));
  return promise;
}

async function ssh(to: Road, command: string): Promise<Ran> {
  return run(["ssh", ...opensshOptions(to), `${to.user}@${to.host}`, command]);
}

/** The same; again as long as the login fails: the machine is too slow for where nobody has long, or others are leaving still. */
async function sshInTheEnd(to: Road, command: string): Promise<Ran> {
  for (;;) {
    const ran = await ssh(to, command);
    if (ran.status !== NOT_LOGGED_IN) return ran;
  }
}

const HERE: Ran = { status: 0, stdout: "here\n", stderr: "" };

/** Somebody who may log in still can. */
async function expectLogin(): Promise<void> {
  expect(await ssh(road, "echo here")).toEqual(HERE);
}

const late = (): Road => hasty.all[1];

describe("time to log in", () => {
  const openings: Readonly<Record<string, string>> = {
    nothing: "",
    "half a greeting": "SSH-2.0-ha",
    "a greeting": BANNER,
    "a greeting and half a packet": `${BANNER}\0\0\x01`,
  };
  for (const [name, bytes] of Object.entries(openings)) {
    test(`who sends ${name} and then nothing is closed`, async () => {
      const visitor = await visit(late());
      visitor.socket.write(Buffer.from(bytes, "latin1"));
      await visitor.closed;
    });
  }

  test("who sends its greeting byte by byte for ever is closed", async () => {
    const visitor = await visit(late());
    const timer = setInterval(() => visitor.socket.write("x"), 50);
    await visitor.closed;
    clearInterval(timer);
  });

  test("who agrees on keys and never logs in is closed", async () => {
    const client = new Client();
    const closed = Promise.withResolvers<void>();
    client.on("close", () => closed.resolve());
    client.on("error", () => {});
    // It waits for a decision that does not come.
    client.connect({ host: late().host, port: late().port, username: "box", authHandler: () => {} });
    await closed.promise;
  });

  test("a session that is open goes on", async () => {
    expect(await sshInTheEnd(late(), "sleep 3; echo here")).toEqual(HERE);
  });
});

describe("what is no SSH", () => {
  const greetings: Readonly<Record<string, Buffer>> = {
    "another protocol": Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "version 1": Buffer.from("SSH-1.5-old\r\n"),
    "zero bytes": Buffer.alloc(4096),
    "a line without end": Buffer.alloc(1_000_000, "a"),
    "many lines before a greeting": Buffer.from("line\r\n".repeat(10_000)),
    "a packet longer than any": Buffer.concat([
      Buffer.from(BANNER),
      Buffer.from([0x7f, 0xff, 0xff, 0xff, 0]),
      Buffer.alloc(100),
    ]),
    "a packet of no length": Buffer.concat([Buffer.from(BANNER), Buffer.alloc(100)]),
    "padding longer than its packet": Buffer.concat([
      Buffer.from(BANNER),
      Buffer.from([0, 0, 0, 12, 255]),
      Buffer.alloc(100),
    ]),
    "random bytes after a greeting": Buffer.concat([
      Buffer.from(BANNER),
      Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i * 31 + i) % 256)),
    ]),
    "a login before the keys": Buffer.concat([
      Buffer.from(BANNER),
      packet(Buffer.from([5, 0, 0, 0, 12, ...Buffer.from("ssh-userauth")])),
    ]),
  };
  for (const [name, bytes] of Object.entries(greetings)) {
    test(`${name} is closed`, async () => {
      const visitor = await visit(late());
      visitor.socket.write(bytes);
      await visitor.closed;
      expect(visitor.received()).not.toContain("Error");
    });
  }

  test("and logins go on", async () => {
    expect(await sshInTheEnd(late(), "echo here")).toEqual(HERE);
  });
});

/** An unencrypted packet (RFC 4253, section 6). */
function packet(payload: Buffer): Buffer {
  const padding = 8 - ((payload.length + 5) % 8) + 8;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + padding + 1, 0);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}

describe("tries", () => {
  test("nobody shows more keys than OpenSSH would look at", async () => {
    const files = Array.from({ length: TRIES_MAX + 3 }, (_, n) => join(folder, `wrong-${n}`));
    for (const file of files) await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file]);
    const keys = [...files, road.keyFile].flatMap((file) => ["-i", file]);
    const options = opensshOptions({ ...road, keyFile: files[0] ?? "" });
    const { status, stderr } = await run(["ssh", ...options, ...keys, "-v", `${road.user}@${road.host}`, "true"]);
    expect({ status, stderr }).toEqual({
      status: 255,
      stderr: expect.stringContaining("Too many authentication failures"),
    });
    const offered = stderr.split("Offering public key").length - 1;
    expect(offered).toBeLessThanOrEqual(TRIES_MAX);
  });

  test("nobody tries more passwords", async () => {
    const client = new Client();
    let tries = 0;
    const ended = Promise.withResolvers<void>();
    client.on("close", () => ended.resolve());
    client.on("error", () => ended.resolve());
    client.connect({
      host: road.host,
      port: road.port,
      username: "box",
      authHandler: (_left, _partial, next) => next({ type: "password", username: "box", password: `wrong ${tries++}` }),
    });
    await ended.promise;
    client.end();
    expect(tries).toBeGreaterThan(1);
    expect(tries).toBeLessThanOrEqual(TRIES_MAX + 1);
  });

  test("and logins go on", async () => expectLogin());
});

describe("many at once", () => {
  test("only so many are on their way to a login, and when they are gone there is room again", async () => {
    const visitors = await Promise.all(Array.from({ length: 2 * STARTUPS_MAX }, () => visit(road)));
    const answers = await Promise.all(visitors.map(greeted));
    const count = answers.filter(Boolean).length;
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(STARTUPS_MAX);
    for (const { socket } of visitors) socket.destroy();
    await Promise.all(visitors.map(({ closed }) => closed));
    expect(await sshInTheEnd(road, "echo here")).toEqual(HERE);
  });

  test(`${SESSIONS} sessions, each with its own connection`, async () => {
    const outputs: string[] = [];
    let next = 0;
    const clients: Client[] = [];
    const worker = async (): Promise<void> => {
      while (next < SESSIONS) {
        const n = next++;
        const client = await logIn();
        clients.push(client);
        outputs.push(await output(client, `echo ${n}; sleep 0.2`));
      }
    };
    // Fewer at once than are dropped at random (MaxStartups begins at ten).
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    // All of them are open still.
    const again = await Promise.all(clients.map((client, n) => output(client, `echo again ${n}`)));
    for (const client of clients) client.end();
    expect(outputs.toSorted()).toEqual(Array.from({ length: SESSIONS }, (_, n) => `${n}\n`).toSorted());
    expect(again).toEqual(Array.from({ length: SESSIONS }, (_, n) => `again ${n}\n`));
  });

  // What a process holds is read from /proc.
  test.skipIf(!existsSync("/proc/self/fd"))(
    `${CONNECTIONS} connections that come to nothing leave nothing behind`,
    async () => {
      const held = (): number => readdirSync(`/proc/${roads.gateway.pid}/fd`).length;
      await settled(held);
      const [handles, bytes] = [held(), residentBytes(roads.gateway.pid)];
      const kinds = ["", BANNER, "GET / HTTP/1.0\r\n\r\n", `${BANNER}\0\0\0\x0c\xff garbage`];
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < CONNECTIONS) {
          const n = next++;
          const visitor = await visit(road);
          visitor.socket.write(Buffer.from(kinds[n % kinds.length] ?? "", "latin1"));
          await greeted(visitor);
          visitor.socket.destroy();
          await visitor.closed;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      while (held() > handles + 2) await Bun.sleep(20);
      expect(residentBytes(roads.gateway.pid) - bytes).toBeLessThan(GROWTH_BYTES_MAX);
      await expectLogin();
    },
    TEST_TIME_MS_MAX * (IS_LONG ? 20 : 1),
  );
});

async function logIn(): Promise<Client> {
  const client = new Client();
  const { promise, resolve, reject } = Promise.withResolvers<Client>();
  client.once("ready", () => resolve(client));
  client.once("error", reject);
  client.connect({ host: road.host, port: road.port, username: road.user, privateKey: readFileSync(road.keyFile) });
  return promise;
}

function output(client: Client, command: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  client.exec(command, (error, channel) => {
    if (error) return reject(error);
    let text = "";
    channel.on("data", (bytes: Buffer) => void (text += bytes.toString()));
    channel.on("close", () => resolve(text));
  });
  return promise;
}

/** Resolves when a count has not changed for some looks: connections end a little after their clients see it. */
async function settled(count: () => number): Promise<void> {
  let last = count();
  for (let same = 0; same < 10;) {
    await Bun.sleep(20);
    const now = count();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}
