/** SFTP conversations before a real server: what is judged, in which order it is sent, what is told and what is recorded. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Recorder, SessionRecording } from "../../../src/core/recording.ts";
import { codeOf, handleOf, MemoryClient, nameOf, type Reply, SftpClient } from "../../../test/sftp-client.ts";
import { SftpServer } from "../../../test/servers/sftp-server.ts";
import { type SftpWorld, startSftp, within, type WorldOptions } from "../../../test/sftp-world.ts";
import { writeAttributes, writeString, writeUint64 } from "./protocol/fields.ts";
import { decodeVersion } from "./protocol/replies.ts";
import { EXTENSIONS, FX, FXP, OPEN } from "./protocol/types.ts";

let home: string;
let worlds: SftpWorld[] = [];

beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "weir-sftp-")));
});
afterEach(() => {
  for (const world of worlds) world.target.close();
  worlds = [];
  rmSync(home, { recursive: true, force: true });
});

type Channel = { readonly world: SftpWorld; readonly channel: MemoryClient; readonly client: SftpClient };

async function start(options: WorldOptions = {}): Promise<Channel> {
  const channel = new MemoryClient();
  const client = SftpClient.through(channel);
  const world = await startSftp(channel, { folder: home, ...options });
  worlds.push(world);
  await client.hello();
  return { world, channel, client };
}

const read = OPEN.read;
const create = OPEN.write | OPEN.create | OPEN.truncate;
const sha256 = (content: string): string => createHash("sha256").update(content).digest("hex");
const bytes = (text: string): Uint8Array => Buffer.from(text);
const close = async (client: SftpClient, handle: Uint8Array): Promise<Reply> => client.on(FXP.close, handle);

const makeFolder = async (client: SftpClient, path: string): Promise<Reply> =>
  client.request(FXP.mkdir, (writer) => writeAttributes(writeString(writer, path), {}));

/** The texts of what was judged, with the home left out. */
function judged(world: SftpWorld): string[] {
  return world.judged().map(([text, kind]) => `${kind} ${text.replaceAll(home, "")}`);
}

describe("the beginning", () => {
  test("version 3, and of the target's extensions those that are understood", async () => {
    const channel = new MemoryClient();
    const client = SftpClient.through(channel);
    worlds.push(await startSftp(channel, { folder: home }));
    const { version, extensions } = decodeVersion(await client.hello(6));
    expect(version).toBe(3);
    expect([...extensions]).toEqual(Object.entries(EXTENSIONS));
  });

  test.each([
    ["an older version", new Uint8Array([0, 0, 0, 5, FXP.init, 0, 0, 0, 2])],
    ["no INIT at first", new Uint8Array([0, 0, 0, 5, FXP.stat, 0, 0, 0, 1])],
    ["a packet of no bytes", new Uint8Array(4)],
    ["a packet that is too long", new Uint8Array([0, 4, 0, 1])],
    ["a packet of four gigabytes", new Uint8Array([255, 255, 255, 255])],
  ])("%s ends the channel, with a line that says why", async (_, said) => {
    const channel = new MemoryClient();
    const world = await startSftp(channel, { folder: home });
    worlds.push(world);
    channel.send(said);
    expect(await world.ended).toBe(true);
    expect(channel.stderr).toStartWith("weir: ");
    expect(channel.exitStatus).toEqual({ kind: "status", status: 126 });
    expect(channel.isClosed).toBe(true);
  });
});

describe("files", () => {
  test("what is uploaded is recorded with its bytes and its SHA-256 when it is closed", async () => {
    const { client, world } = await start();
    const handle = handleOf(await client.open("a", create));
    const writes = [client.write(handle, 0, bytes("hello ")), client.write(handle, 6, bytes("world"))];
    expect((await Promise.all(writes)).map(codeOf)).toEqual([FX.ok, FX.ok]);
    expect(world.outcomes()).toEqual([]);
    expect(codeOf(await close(client, handle))).toBe(FX.ok);
    expect(readFileSync(join(home, "a"), "utf8")).toBe("hello world");
    expect(world.outcomes()).toEqual([
      [
        `open-write "${home}/a" (write, create, truncate)`,
        { status: "done", bytes: 11, sha256: sha256("hello world") },
      ],
    ]);
  });

  test("what is downloaded too", async () => {
    writeFileSync(join(home, "a"), "hello world");
    const { client, world } = await start();
    const handle = handleOf(await client.open("a", read));
    const replies = await Promise.all([0, 4, 8, 12].map(async (at) => client.read(handle, at, 4)));
    expect(replies.map((reply) => (reply.kind === "data" ? reply.body : codeOf(reply)))).toEqual([
      "hell",
      "o wo",
      "rld",
      FX.eof,
    ]);
    await close(client, handle);
    expect(world.outcomes().map(([, outcome]) => outcome)).toEqual([
      { status: "done", bytes: 11, sha256: sha256("hello world") },
    ]);
  });

  test.each([
    ["out of order", [8, 0, 4], { bytes: 12, ranges: "r0-11" }],
    ["from the middle on", [4, 8], { bytes: 8, ranges: "r4-11" }],
    ["twice", [0, 0], { bytes: 8, ranges: "r0-3" }],
    ["with a gap", [0, 8], { bytes: 8, ranges: "r0-3,r8-11" }],
    ["not at all", [], { bytes: 0 }],
  ])("a file that is read %s says which bytes", async (_, offsets, expected) => {
    writeFileSync(join(home, "a"), "hello world!");
    const { client, world } = await start();
    const handle = handleOf(await client.open("a", read));
    for (const at of offsets) await client.read(handle, at, 4);
    await close(client, handle);
    expect(world.outcomes().map(([, outcome]) => outcome)).toEqual([{ status: "done", ...expected }]);
  });

  test("what is put at the end, and what is read and written", async () => {
    writeFileSync(join(home, "log"), "one\n");
    const { client, world } = await start();
    const end = handleOf(await client.open("log", OPEN.write | OPEN.append));
    await client.write(end, 0, bytes("two\n"));
    await close(client, end);
    const both = handleOf(await client.open("log", OPEN.read | OPEN.write));
    await client.read(both, 0, 4);
    await client.write(both, 4, bytes("TWO\n"));
    await close(client, both);
    expect(readFileSync(join(home, "log"), "utf8")).toBe("one\nTWO\n");
    expect(world.outcomes().map(([, outcome]) => outcome)).toEqual([
      { status: "done", bytes: 4, ranges: "a" },
      { status: "done", bytes: 8, ranges: "r0-3,w4-7" },
    ]);
  });

  test("a WRITE that fails leaves no hash, and its operation has failed", async () => {
    const { client, world } = await start();
    const handle = handleOf(await client.open("/dev/full", OPEN.write));
    expect(codeOf(await client.write(handle, 0, bytes("x")))).toBe(FX.failure);
    await close(client, handle);
    expect(world.outcomes().map(([, outcome]) => outcome)).toEqual([
      { status: "failed", code: "SSH_FX_FAILURE", bytes: 0 },
    ]);
  });

  test("a file that was opened for one thing is not used for the other", async () => {
    writeFileSync(join(home, "a"), "secret");
    const { client } = await start();
    const reading = handleOf(await client.open("a", read));
    const writing = handleOf(await client.open("a", OPEN.write));
    const folder = handleOf(await client.path(FXP.opendir, "."));
    expect(codeOf(await client.write(reading, 0, bytes("x")))).toBe(FX.permissionDenied);
    expect(codeOf(await client.read(writing, 0, 1))).toBe(FX.permissionDenied);
    expect(codeOf(await client.read(folder, 0, 1))).toBe(FX.permissionDenied);
    expect(codeOf(await client.write(folder, 0, bytes("x")))).toBe(FX.permissionDenied);
    expect(readFileSync(join(home, "a"), "utf8")).toBe("secret");
  });

  test("to open is to write when it could change anything", async () => {
    writeFileSync(join(home, "a"), "kept");
    const { client, world } = await start({
      judge: ({ accesses }) => accesses.every((each) => each.class !== "write"),
    });
    for (const flags of [
      OPEN.truncate,
      OPEN.read | OPEN.truncate,
      OPEN.create,
      OPEN.append,
      OPEN.read | OPEN.exclusive,
    ]) {
      expect(codeOf(await client.open("a", flags))).toBe(FX.permissionDenied);
    }
    expect(codeOf(await client.open("a", 0))).toBe("handle");
    expect(codeOf(await client.open("a", OPEN.read | 0x40))).toBe(FX.opUnsupported);
    expect(readFileSync(join(home, "a"), "utf8")).toBe("kept");
    expect(world.judged().map(([text]) => text.split(" ")[0])).toEqual([
      ...Array.from({ length: 5 }, () => "open-read-write"),
      "open-read",
    ]);
  });
});

describe("handles", () => {
  test("are the gateway's own, and those that nobody was given mean nothing", async () => {
    const { client } = await start();
    const handle = handleOf(await client.open("a", create));
    await close(client, handle);
    const handles = [handle, new Uint8Array(0), new Uint8Array(4), new Uint8Array(256), new Uint8Array([0, 0, 0, 9])];
    for (const wrong of handles) {
      expect(codeOf(await client.read(wrong, 0, 1))).toBe(FX.failure);
      expect(codeOf(await client.write(wrong, 0, bytes("x")))).toBe(FX.failure);
      expect(codeOf(await client.on(FXP.fstat, wrong))).toBe(FX.failure);
      expect(codeOf(await client.on(FXP.readdir, wrong))).toBe(FX.failure);
      expect(codeOf(await client.on(FXP.close, wrong))).toBe(FX.noSuchFile);
      expect(
        codeOf(await client.request(FXP.fsetstat, (writer) => writeAttributes(writeString(writer, wrong), {}))),
      ).toBe(FX.failure);
    }
  });

  test("are never the same twice", async () => {
    const { client } = await start();
    const first = handleOf(await client.open("a", create));
    await close(client, first);
    expect(handleOf(await client.open("a", create))).not.toEqual(first);
  });

  test("are limited, also while they are being opened", async () => {
    const { client } = await start();
    const replies = await Promise.all(Array.from({ length: 300 }, async () => client.open("/dev/null", read)));
    expect(replies.filter((reply) => reply.kind === "handle")).toHaveLength(256);
    expect(replies.filter((reply) => codeOf(reply) === FX.failure)).toHaveLength(44);
    const [first] = replies;
    if (first !== undefined) await close(client, handleOf(first));
    expect(codeOf(await client.open("/dev/null", read))).toBe("handle");
  });

  test("two requests under one id get two replies", async () => {
    writeFileSync(join(home, "a"), "x");
    const { client, channel } = await start();
    const types: number[] = [];
    channel.onBytes = (reply) => types.push(reply[4] ?? 0);
    void client.request(FXP.stat, (writer) => writeString(writer, "a"), 77);
    void client.request(FXP.stat, (writer) => writeString(writer, "nothing"), 77);
    while (types.length < 2) await Bun.sleep(1);
    expect(types).toEqual([FXP.attrs, FXP.status]);
  });
});

describe("a refusal", () => {
  test("is a status with the reason and the id, and a line on stderr; nothing was sent", async () => {
    mkdirSync(join(home, "open"));
    writeFileSync(join(home, "secret"), "x");
    const { client, world, channel } = await start({ judge: within(join(home, "open")) });
    const reply = await client.open(join(home, "secret"), read);
    expect(reply.kind === "status" && reply.code).toBe(FX.permissionDenied);
    const message = reply.kind === "status" ? reply.message : "";
    expect(message).toMatch(/^weir: policy does not permit this \(rules r; id [^)]+\)$/);
    expect(channel.stderr).toBe(`${message}\n`);
    expect(world.outcomes()).toEqual([
      [`open-read "${home}/secret" (read)`, { status: "refused", code: "SSH_FX_PERMISSION_DENIED" }],
    ]);
  });

  test("does not tell what is there: it is the same for what is not", async () => {
    mkdirSync(join(home, "open"));
    mkdirSync(join(home, "there"));
    const { client } = await start({ judge: within(join(home, "open")) });
    for (const path of ["there", "there/x/y", "nothing", "nothing/x/y", "open/../there", "open/../nothing/x"]) {
      expect([path, codeOf(await client.path(FXP.stat, path))]).toEqual([path, FX.permissionDenied]);
      expect([path, codeOf(await client.path(FXP.realpath, path))]).toEqual([path, FX.permissionDenied]);
    }
    expect(codeOf(await client.path(FXP.stat, "open/nothing/x"))).toBe(FX.noSuchFile);
  });

  test.each([
    ["a NUL", bytes("a\0b")],
    ["what is no UTF-8", new Uint8Array([0x61, 0xff])],
    ["a surrogate", new Uint8Array([0xed, 0xa0, 0x80])],
    ["more than 4096 bytes", bytes("x".repeat(4097))],
  ])("a path with %s is refused, and recorded as what could not be read", async (_, path) => {
    const { client, world } = await start();
    for (const type of [FXP.stat, FXP.remove, FXP.realpath, FXP.opendir]) {
      expect(codeOf(await client.path(type, path))).toBe(FX.permissionDenied);
    }
    expect(codeOf(await client.open(path, create))).toBe(FX.permissionDenied);
    expect(world.judged().map(([, kind]) => kind)).toEqual(["deny", "deny", "deny", "deny", "deny"]);
  });

  test("names with newlines and control characters are data, and quoted in the text", async () => {
    const { client, world } = await start();
    const handle = handleOf(await client.open("a\nb\u001b[2J", create));
    await close(client, handle);
    expect(existsSync(join(home, "a\nb\u001b[2J"))).toBe(true);
    expect(judged(world)).toEqual(['permit open-write "/a\\nb\\u001b[2J" (write, create, truncate)']);
  });
});

describe("order", () => {
  test("while people are asked nothing that came later is sent, and it goes on in order", async () => {
    writeFileSync(join(home, "a"), "x");
    const { client, world, channel } = await start({
      judge: ({ kind }) => (kind === "sftp.rename" ? "ask" : true),
    });
    const handle = handleOf(await client.open("b", create));
    const answers: string[] = [];
    const note = (name: string, reply: Promise<Reply>): void =>
      void reply.then((each) => answers.push(`${name} ${codeOf(each)}`));
    note("rename", client.two(FXP.rename, "a", "c"));
    note("write", client.write(handle, 0, bytes("x")));
    note("stat", client.path(FXP.stat, "c"));
    while (world.approvals.size === 0) await Bun.sleep(1);
    expect(channel.stderr).toMatch(/^weir: this waits for an approval: the console \(id \S+\)\n$/);
    expect([answers, existsSync(join(home, "a")), readFileSync(join(home, "b"), "utf8")]).toEqual([[], true, ""]);
    for (const answer of world.approvals.values()) answer("approved");
    while (answers.length < 3) await Bun.sleep(1);
    expect(answers).toEqual(["rename 0", "write 0", "stat attrs"]);
  });

  test("what a link leads to is found out after it was made, also when both were asked for at once", async () => {
    mkdirSync(join(home, "open"));
    mkdirSync(join(home, "closed"));
    writeFileSync(join(home, "closed/secret"), "secret");
    symlinkSync(join(home, "closed"), join(home, "open/out"));
    const { client } = await start({ judge: within(join(home, "open")) });
    const replies = await Promise.all([
      client.two(FXP.rename, join(home, "open/out"), join(home, "open/later")),
      client.open(join(home, "open/later/secret"), read),
    ]);
    expect(replies.map(codeOf)).toEqual([FX.ok, FX.permissionDenied]);
  });

  test("a reply waits until its record is kept", async () => {
    const { client, world } = await start({ durability: "release" });
    world.audit.isHeld = true;
    let answer: Reply | null = null;
    const asked = client.path(FXP.stat, "/").then((reply) => (answer = reply));
    await client.extended("limits@openssh.com");
    await Bun.sleep(20);
    expect(answer).toBeNull();
    world.audit.isHeld = false;
    world.audit.sync();
    expect(codeOf(await asked)).toBe("attrs");
  });
});

describe("obligations", () => {
  test("bytes are counted before they pass; over the limit a file is cut and closed", async () => {
    writeFileSync(join(home, "a"), "x".repeat(100));
    const { client, world, channel } = await start({ judge: () => ({ limit: { bytes: 60 } }) });
    const reading = handleOf(await client.open("a", read));
    const replies = await Promise.all([0, 30, 60, 90].map(async (at) => client.read(reading, at, 30)));
    expect(replies.map(codeOf)).toEqual(["data", "data", FX.permissionDenied, FX.permissionDenied]);
    expect(codeOf(await client.on(FXP.fstat, reading))).toBe(FX.permissionDenied);
    expect(codeOf(await close(client, reading))).toBe(FX.ok);
    expect(channel.stderr.match(/at most 60 bytes/g)).toHaveLength(1);
    const writing = handleOf(await client.open("b", create));
    const writes = [client.write(writing, 0, bytes("x".repeat(40))), client.write(writing, 40, bytes("x".repeat(40)))];
    expect((await Promise.all(writes)).map(codeOf)).toEqual([FX.ok, FX.permissionDenied]);
    expect(readFileSync(join(home, "b"), "utf8")).toBe("x".repeat(40));
    const code = "SSH_FX_PERMISSION_DENIED";
    expect(world.outcomes().map(([, outcome]) => outcome)).toEqual([
      { status: "failed", code, bytes: 60, sha256: sha256("x".repeat(60)) },
      { status: "failed", code, bytes: 40, sha256: sha256("x".repeat(40)) },
    ]);
  });

  test("masks cannot be kept, so what would show content is refused", async () => {
    writeFileSync(join(home, "a"), "eva@example.com");
    const mask = {
      columns: {},
      fields: {},
      classifiers: { email: { with: "redact" } },
      patterns: {},
      predicates: "masked",
    } as const;
    const { client, world } = await start({ judge: () => ({ mask }) });
    const replies = [
      await client.open("a", read),
      await client.open("a", OPEN.read | OPEN.write),
      await client.path(FXP.opendir, "."),
      await client.path(FXP.readlink, "a"),
    ];
    expect(replies.map(codeOf)).toEqual([3, 3, 3, 3]);
    expect(codeOf(await client.open("a", OPEN.write))).toBe("handle");
    expect(codeOf(await client.path(FXP.stat, "a"))).toBe("attrs");
    expect(
      world
        .outcomes()
        .slice(0, 4)
        .map(([, { status }]) => status),
    ).toEqual(Array.from({ length: 4 }, () => "refused"));
  });

  test("an operation that is recorded has a line with its text and one with its end", async () => {
    const { client, world } = await start({ judge: () => ({ record: ["input"] }) });
    const opened = client.open("a", create);
    while (world.recorder.asked.length === 0) await Bun.sleep(1);
    await world.recorder.begin();
    const handle = handleOf(await opened);
    await client.write(handle, 0, bytes("hello"));
    await close(client, handle);
    await client.path(FXP.stat, "nothing");
    expect(
      world.recorder.made[0]?.lines.map(([stream, line]) => [
        stream,
        line.kind,
        "text" in line ? line.text : { ...line },
      ]),
    ).toEqual([
      ["clear", "input", `open-write "${home}/a" (write, create, truncate)`],
      ["clear", "data", expect.objectContaining({ of: `${home}/a`, bytes: 5, sha256: sha256("hello") })],
      ["clear", "end", expect.objectContaining({ status: "done", message: "5 bytes" })],
      ["clear", "input", `stat "${home}/nothing"`],
      ["clear", "end", expect.objectContaining({ status: "failed", code: "SSH_FX_NO_SUCH_FILE" })],
    ]);
  });

  test("while a recording has no room the client waits", async () => {
    let drained = (): void => {};
    let isFull = true;
    const recording: SessionRecording = {
      id: "r",
      failure: null,
      isStalled: false,
      onStall: () => () => {},
      write: () => !isFull,
      onDrain: (callback) => {
        drained = callback;
        return () => {};
      },
      end: () => {},
    };
    const recorder: Recorder = { seals: true, open: async () => recording };
    const { client, channel } = await start({ judge: () => ({ record: ["input"] }), gate: { recorder } });
    expect(codeOf(await client.path(FXP.stat, "/"))).toBe("attrs");
    expect(channel.isPaused).toBe(true);
    const second = client.path(FXP.stat, "/");
    isFull = false;
    drained();
    expect([codeOf(await second), channel.isPaused]).toEqual(["attrs", false]);
  });

  test("without a recording nothing of it is done", async () => {
    const { client, world } = await start({ judge: () => ({ record: ["input"] }) });
    const opened = client.open("a", create);
    while (world.recorder.asked.length === 0) await Bun.sleep(1);
    await world.recorder.refuse();
    expect(codeOf(await opened)).toBe(FX.permissionDenied);
    expect(existsSync(join(home, "a"))).toBe(false);
  });

  test("when policy takes it back, an open file is closed and stays so", async () => {
    writeFileSync(join(home, "a"), "hello");
    let isPermitted = true;
    const { client, world, channel } = await start({ judge: () => isPermitted });
    const handle = handleOf(await client.open("a", read));
    await client.read(handle, 0, 5);
    isPermitted = false;
    world.judgeAgain();
    expect(codeOf(await client.read(handle, 0, 5))).toBe(FX.permissionDenied);
    expect(channel.stderr).toMatch(/^weir: policy does not permit this \(.*\)\n$/);
    expect(codeOf(await close(client, handle))).toBe(FX.ok);
    while (world.outcomes().length === 0) await Bun.sleep(1);
    expect(world.outcomes().map(([, { status }]) => status)).toEqual(["failed"]);
  });
});

describe("what is not understood", () => {
  test("is answered so: other types, extensions nobody knows, requests that are cut short or too long", async () => {
    const { client } = await start();
    expect(codeOf(await client.request(55, (writer) => writer.u32(1)))).toBe(FX.opUnsupported);
    expect(codeOf(await client.request(FXP.status, (writer) => writer.u32(0)))).toBe(FX.opUnsupported);
    expect(codeOf(await client.extended("check-file-name"))).toBe(FX.opUnsupported);
    expect(codeOf(await client.extended("posix-rename@openssh.com"))).toBe(FX.badMessage);
    expect(codeOf(await client.request(FXP.stat, () => {}))).toBe(FX.badMessage);
    expect(codeOf(await client.request(FXP.stat, (writer) => writer.u32(1000).u8(1)))).toBe(FX.badMessage);
    expect(codeOf(await client.request(FXP.stat, (writer) => writeString(writer, "a").u8(0)))).toBe(FX.badMessage);
    expect(codeOf(await client.request(FXP.setstat, (writer) => writeString(writer, "a").u32(0x40)))).toBe(
      FX.badMessage,
    );
    const handle = handleOf(await client.open("a", create));
    expect(
      codeOf(await client.request(FXP.read, (writer) => writeString(writer, handle).u32(0xffffffff).u32(0).u32(1))),
    ).toBe(FX.badMessage);
    expect(codeOf(await client.path(FXP.stat, "a"))).toBe("attrs");
  });

  test("a packet without an id ends the channel", async () => {
    const { client, world } = await start();
    client.raw(new Uint8Array([0, 0, 0, 3, FXP.stat, 0, 0]));
    expect(await world.ended).toBe(true);
  });
});

describe("names", () => {
  test("the home folder belongs to every session", async () => {
    const { client } = await start({ judge: within("/nowhere") });
    for (const path of [".", "", home, "./."]) expect(nameOf(await client.path(FXP.realpath, path))).toBe(home);
    expect(nameOf(await client.extended("expand-path@openssh.com", (writer) => writeString(writer, "~")))).toBe(home);
    expect(nameOf(await client.extended("home-directory", (writer) => writeString(writer, "")))).toBe(home);
    expect(codeOf(await client.extended("home-directory", (writer) => writeString(writer, "root")))).toBe(
      FX.opUnsupported,
    );
    expect(codeOf(await client.extended("expand-path@openssh.com", (writer) => writeString(writer, "~root/x")))).toBe(
      FX.opUnsupported,
    );
  });

  test("what is copied at the target is judged as read and as written", async () => {
    writeFileSync(join(home, "a"), "hello");
    const { client, world } = await start();
    const from = handleOf(await client.open("a", read));
    const to = handleOf(await client.open("b", create));
    const reply = await client.extended("copy-data", (writer) => {
      writeUint64(writeUint64(writeString(writer, from), 0), 0);
      writeUint64(writeString(writer, to), 0);
    });
    expect(codeOf(reply)).toBe(FX.ok);
    expect(readFileSync(join(home, "b"), "utf8")).toBe("hello");
    expect(judged(world).at(-1)).toBe('permit copy "/a" to "/b", from 0 on, at 0');
    const accesses = [...world.audit.intents.values()]
      .at(-1)
      ?.operation.accesses.map((each) => [each.class, each.facts["paths"]]);
    expect(accesses).toEqual([
      ["read", [`${home}/a`]],
      ["transfer", [`${home}/a`]],
      ["write", [`${home}/b`]],
      ["transfer", [`${home}/b`]],
    ]);
  });
});

describe("who does not read", () => {
  test("is waited for: neither side is read, and all of it comes when there is room", async () => {
    const size = 100_000;
    writeFileSync(join(home, "a"), "x".repeat(40 * size));
    const { client, channel } = await start();
    const handle = handleOf(await client.open("a", read));
    channel.isFull = true;
    const replies = Promise.all(Array.from({ length: 40 }, async (_, n) => client.read(handle, n * size, size)));
    const isPaused = (): boolean => channel.isPaused;
    while (!isPaused()) await Bun.sleep(1);
    const late = client.read(handle, 0, 1);
    channel.drain();
    expect((await replies).map((reply) => (reply.kind === "data" ? reply.body.length : codeOf(reply)))).toEqual(
      Array.from({ length: 40 }, () => size),
    );
    expect(codeOf(await late)).toBe("data");
    expect(isPaused()).toBe(false);
  });

  test("waits for the target in turn: what it sends is held back at its side", async () => {
    const { client, channel, world } = await start({ judge: ({ kind }) => (kind === "sftp.rename" ? "ask" : true) });
    const handle = handleOf(await client.open("a", create));
    const renamed = client.two(FXP.rename, "nothing", "else");
    while (world.approvals.size === 0) await Bun.sleep(1);
    const content = new Uint8Array(250_000).fill(1);
    const writes = Array.from({ length: 40 }, async (_, n) => client.write(handle, n * content.length, content));
    expect(channel.isPaused).toBe(true);
    for (const answer of world.approvals.values()) answer("approved");
    expect((await Promise.all(writes)).map(codeOf)).toEqual(Array.from({ length: 40 }, () => FX.ok));
    expect(codeOf(await renamed)).not.toBe(FX.permissionDenied);
    expect(readFileSync(join(home, "a"))).toHaveLength(40 * content.length);
  });
});

describe("the end", () => {
  test("what the client has sent is done before the target is told that no more comes", async () => {
    const { client, world, channel } = await start();
    const handle = handleOf(await client.open("a", create));
    const written = client.write(handle, 0, bytes("x"));
    void makeFolder(client, "d");
    channel.end();
    expect(codeOf(await written)).toBe(FX.ok);
    expect(await world.ended).toBe(true);
    expect(channel.exitStatus).toEqual({ kind: "status", status: 0 });
    expect(existsSync(join(home, "d"))).toBe(true);
    expect(world.outcomes()[0]).toEqual([
      `open-write "${home}/a" (write, create, truncate)`,
      { status: "cancelled", bytes: 1, sha256: sha256("x") },
    ]);
  });

  test("when the client hangs up, all that was permitted has an outcome", async () => {
    const { client, world, channel } = await start({ judge: ({ kind }) => (kind === "sftp.mkdir" ? "ask" : true) });
    await client.open("a", create);
    void makeFolder(client, "d");
    while (world.approvals.size === 0) await Bun.sleep(1);
    channel.hangUp();
    await world.ended;
    for (const answer of world.approvals.values()) answer("approved");
    while (world.outcomes().length < 2) await Bun.sleep(1);
    expect(world.outcomes().map(([, { status }]) => status)).toEqual(["cancelled", "skipped"]);
    expect(existsSync(join(home, "d"))).toBe(false);
  });

  test("a target that answers with two names for one ends the channel, which is its own fault", async () => {
    class TwoNames extends SftpServer {
      override onData(callback: (bytes: Uint8Array, isStderr: boolean) => void): void {
        let names = 0;
        let held = Buffer.alloc(0);
        super.onData((chunk) => {
          held = Buffer.concat([held, chunk]);
          // A chunk need not be one packet.
          while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
            const packet = held.subarray(0, 4 + held.readUInt32BE(0));
            held = held.subarray(packet.length);
            // The first says where the session begins.
            if (packet[4] === FXP.name && ++names > 1) packet[12] = 2;
            callback(packet, false);
          }
        });
      }
    }
    const { world, channel, client } = await start({ target: new TwoNames(home) });
    void client.path(FXP.stat, "file");
    await world.ended;
    expect(world.reports.join("\n")).not.toContain("fault of the gateway");
    expect(channel.stderr).toContain("does not answer as SFTP version 3 says");
  });

  test("a target that ends, ends the channel with its own status", async () => {
    const { world, channel } = await start();
    world.target.close();
    await world.ended;
    expect(channel.isClosed).toBe(true);
  });
});
