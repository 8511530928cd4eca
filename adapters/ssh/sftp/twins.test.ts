/** Twins: the same random requests, sent to a bare server and through a gateway that permits all, get the same replies. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SftpServer } from "../../../test/servers/sftp-server.ts";
import { MemoryClient, type Reply, SftpClient } from "../../../test/sftp-client.ts";
import { startSftp } from "../../../test/sftp-world.ts";
import { Reader } from "../../../src/wire/reader.ts";
import { readAttributes, readString, writeAttributes, writeString } from "./protocol/fields.ts";
import { FXP, OPEN } from "./protocol/types.ts";

/* ---- requests ---- */

const name = fc.constantFrom("a", "b", "note", "folder", "inner", "to-note", "to-folder", "nowhere", "é", "x\ny");
/** `..` behind a file is an error to the kernel and none to OpenSSH's own REALPATH: here it only stands at the beginning. */
const start = fc.constantFrom("", "", "./", "../home/", ".//", "{home}/", "{home}/./", "{home}/../home/");
const path = fc
  .tuple(start, fc.array(name, { minLength: 1, maxLength: 3 }), fc.constantFrom("/", "/", "//"))
  .map(([first, parts, slash]) => first + parts.join(slash));
const handle = fc.nat(3);
const offset = fc.nat(20);
const flags = fc.subarray(["read", "write", "append", "create", "truncate", "exclusive"] as const);
const attributes = fc.record(
  {
    size: fc.nat(30),
    permissions: fc.constantFrom(0o644, 0o600, 0o755),
    times: fc.record({ accessed: fc.nat(10), modified: fc.nat(10) }),
  },
  { requiredKeys: ["permissions"] },
);
const request = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("open" as const), path, flags) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom("stat", "lstat", "opendir", "remove", "rmdir", "realpath", "readlink"), path),
  },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom("rename", "symlink", "posix-rename", "hardlink"), path, path) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom("setstat", "mkdir", "lsetstat"), path, attributes) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom("close", "fstat", "readdir", "fsync"), handle) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("read" as const), handle, offset, fc.integer({ min: 1, max: 20 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("write" as const), handle, offset, fc.string({ maxLength: 12 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("fsetstat" as const), handle, attributes) },
);
type Request = typeof request extends fc.Arbitrary<infer Value> ? Value : never;

/** One side: its client, its folder, and the handles that it was given, in the order of the requests. */
class Side {
  readonly client: SftpClient;
  readonly home: string;
  readonly handles: Uint8Array[] = [];

  constructor(client: SftpClient, home: string) {
    this.client = client;
    this.home = home;
  }

  /** A bare server gives the handles of closed files to others, a gateway never does. */
  keep(batch: readonly Request[], replies: readonly Reply[]): void {
    const closed = new Set(batch.flatMap((one) => (one[0] === "close" ? [this.handles[one[1]]] : [])));
    const opened = replies.flatMap((reply) => (reply.kind === "handle" ? [reply.handle] : []));
    const left = this.handles.filter((each) => !closed.has(each));
    this.handles.splice(0, this.handles.length, ...opened, ...left);
  }

  async send(one: Request): Promise<Reply> {
    const { client } = this;
    const at = (text: string): string => text.replace("{home}", this.home);
    const of = (index: number): Uint8Array => this.handles[index] ?? new Uint8Array(4).fill(0xee);
    switch (one[0]) {
      case "open":
        return client.open(
          at(one[1]),
          one[2].reduce((all, each) => all | OPEN[each], 0),
        );
      case "rename":
      case "symlink":
        return client.two(FXP[one[0]], at(one[1]), at(one[2]));
      case "posix-rename":
      case "hardlink":
        return client.extended(`${one[0]}@openssh.com`, (writer) =>
          writeString(writeString(writer, at(one[1])), at(one[2])),
        );
      case "setstat":
      case "mkdir":
        return client.request(FXP[one[0]], (writer) => writeAttributes(writeString(writer, at(one[1])), one[2]));
      case "lsetstat":
        return client.extended("lsetstat@openssh.com", (writer) =>
          writeAttributes(writeString(writer, at(one[1])), one[2]),
        );
      case "fsetstat":
        return client.request(FXP.fsetstat, (writer) => writeAttributes(writeString(writer, of(one[1])), one[2]));
      case "close":
      case "fstat":
      case "readdir":
        return client.on(FXP[one[0]], of(one[1]));
      case "fsync":
        return client.extended("fsync@openssh.com", (writer) => writeString(writer, of(one[1])));
      case "read":
        return client.read(of(one[1]), one[2], one[3]);
      case "write":
        return client.write(of(one[1]), one[2], Buffer.from(one[3]));
      default:
        return client.path(FXP[one[0]], at(one[1]));
    }
  }
}

/* ---- replies, as far as they must be the same ---- */

/** Times pass, and each home has its own inodes. */
function attributesOf(body: Uint8Array, at = 0): unknown {
  const { size, owner, permissions } = readAttributes(new Reader(body, at));
  // How large a folder is, is the file system's affair.
  return { size: ((permissions ?? 0) & 0o170000) === 0o100000 ? size : null, owner, permissions };
}

function namesOf(body: Uint8Array, home: string): unknown {
  const reader = new Reader(body);
  const names = Array.from({ length: reader.u32() }, () => {
    const text = Buffer.from(readString(reader)).toString("utf8").replaceAll(home, "{home}");
    readString(reader);
    const { permissions } = readAttributes(reader);
    return [text, permissions];
  });
  return names.toSorted((a, b) => String(a[0]).localeCompare(String(b[0])));
}

/** What bad requests are answered with differs in its words, and where the gateway knows it before the server does, in its code. */
function seen(one: Request, reply: Reply, home: string): unknown {
  switch (reply.kind) {
    case "status":
      if (reply.code > 1 && MAY_DIFFER.has(one[0])) return "failed";
      return reply.code;
    case "handle":
      return "handle";
    case "data":
      return reply.body;
    case "name":
      return namesOf(reply.packet.bytes.subarray(reply.packet.bodyStart + 4), home);
    case "attrs":
      return attributesOf(reply.packet.bytes.subarray(reply.packet.bodyStart + 4));
    case "extended":
      return reply.body;
  }
}

/** A handle that was not opened for it; what ends in a dot; what is wrong in two ways. */
const MAY_DIFFER: ReadonlySet<string> = new Set([
  "read",
  "write",
  "readdir",
  "rmdir",
  "remove",
  "rename",
  "posix-rename",
  "hardlink",
  "fsetstat",
  "fsync",
  "mkdir",
  "symlink",
  "lsetstat",
]);

function picture(folder: string): unknown {
  return readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map((entry) => {
      const place = join(folder, entry.name);
      if (entry.isDirectory()) return [entry.name, picture(place)];
      if (entry.isSymbolicLink()) return [entry.name, "link"];
      return [entry.name, readFileSync(place, "utf8"), statSync(place).mode];
    });
}

/* ---- both ---- */

let base: string;
let runs = 0;
beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "weir-sftp-twins-")));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function makeHome(side: string): string {
  // Both have names of the same length, so that lengths are the same too.
  const home = join(base, `${runs}-${side}`, "home");
  mkdirSync(join(home, "folder/inner"), { recursive: true });
  writeFileSync(join(home, "note"), "some words");
  symlinkSync("note", join(home, "to-note"));
  symlinkSync("folder", join(home, "to-folder"));
  symlinkSync("missing/thing", join(home, "nowhere"));
  return home;
}

/** Nothing is opened where something is closed: what is sent at once could then be meant for either. */
function apart(batch: readonly Request[]): readonly Request[] {
  const closes = batch.some((one) => one[0] === "close");
  return closes ? batch.filter((one) => one[0] !== "open" && one[0] !== "opendir") : batch;
}

async function run(batches: readonly (readonly Request[])[]): Promise<void> {
  runs++;
  const [bareHome, home] = [makeHome("a"), makeHome("b")];
  const server = new SftpServer(bareHome);
  const channel = new MemoryClient();
  const world = await startSftp(channel, { folder: home });
  const bare = new Side(SftpClient.direct(server), bareHome);
  const through = new Side(SftpClient.through(channel), home);
  try {
    await Promise.all([bare.client.hello(), through.client.hello()]);
    for (const batch of batches.map(apart)) {
      const answers = await Promise.all(
        [bare, through].map(async (side) => {
          const replies = await Promise.all(batch.map(async (one) => side.send(one)));
          side.keep(batch, replies);
          return batch.map((one, index) => {
            const reply = replies[index];
            return [one, reply === undefined ? null : seen(one, reply, side.home)];
          });
        }),
      );
      expect(answers[1]).toEqual(answers[0]);
    }
    expect(picture(home)).toEqual(picture(bareHome));
    expect(world.reports).toEqual([]);
  } finally {
    server.close();
    world.target.close();
  }
}

test("one request at a time", async () => {
  const batches = fc.array(fc.tuple(request), { minLength: 1, maxLength: 25 });
  await fc.assert(fc.asyncProperty(batches, run), { numRuns: 80 });
}, 240_000);

test("many at once", async () => {
  const batches = fc.array(fc.array(request, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 });
  await fc.assert(fc.asyncProperty(batches, run), { numRuns: 80 });
}, 240_000);
