/** The ordinary age tool opens with the auditor's key what weir has sealed; nothing on the gateway does, on disk or in memory. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  closeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import Database from "libsql";
import { RecordingReader } from "../src/record/reader.ts";
import { RECORDINGS_FILE } from "../src/record/schema.ts";
import { lines } from "./fault/audit-lines.ts";
import { runWeir, type CommandResult } from "./gateway.ts";
import { flipSealedByte } from "./recordings.ts";

setDefaultTimeout(240_000);

const CHILD = Bun.fileURLToPath(new URL("./fault/recording-child.ts", import.meta.url));
const hasAge = Bun.which("age") !== null && Bun.which("age-keygen") !== null;
const PIECE_BYTES = 1024 * 1024;
const SECRET = "sealed 1 xxxxxxxxxx";

let folder: string;
let child: Subprocess<"ignore", "pipe", "inherit">;
/** Secret half of the key, and whom the gateway seals to. */
let auditor: string;
let recipient: string;

beforeAll(async () => {
  if (!hasAge) return;
  folder = mkdtempSync(join(tmpdir(), "weir-age-"));
  auditor = await keygen("auditor.txt");
  recipient = (await run("age-keygen", "-y", join(folder, "auditor.txt"))).stdout.trim();
  await keygen("stranger.txt");
  child = Bun.spawn([process.execPath, CHILD, join(folder, "data"), recipient, "3", "once"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  for await (const line of lines(child.stdout)) if (line === "done") break;
});
afterAll(async () => {
  if (!hasAge) return;
  child.kill("SIGKILL");
  await child.exited;
  rmSync(folder, { recursive: true, force: true });
});

async function run(...command: readonly string[]): Promise<CommandResult> {
  const process = Bun.spawn([...command], { cwd: folder, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([process.stdout.text(), process.stderr.text(), process.exited]);
  return { stdout, stderr, status };
}

/** Makes a key with age itself; answers with its secret line. */
async function keygen(name: string): Promise<string> {
  await run("age-keygen", "-o", join(folder, name));
  const secret = readFileSync(join(folder, name), "utf8")
    .split("\n")
    .find((line) => line.startsWith("AGE-SECRET-KEY-1"));
  if (secret === undefined) throw new Error("age-keygen made no key");
  return secret;
}

/** A copy of the data folder as it is at one moment: what records there goes on. */
function copyOfData(name: string): string {
  const [data, copy] = [join(folder, "data"), join(folder, name)];
  const state = (): string =>
    readdirSync(data, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map((each) => statSync(join(each.parentPath, each.name), { bigint: true }))
      .map(({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`)
      .toSorted()
      .join("\n");
  for (;;) {
    const before = state();
    cpSync(data, copy, { recursive: true });
    if (state() === before) return copy;
    rmSync(copy, { recursive: true });
  }
}

/** A folder as `weir audit unseal --export-age` fills it, from a data folder. */
async function exported(
  session: string,
  name: string,
  data = join(folder, "data"),
): Promise<{ path: string; id: string; result: CommandResult }> {
  const path = join(folder, name);
  const result = await runWeir(["audit", "unseal", session, "--export-age", path, "--data", data], { cwd: folder });
  const reader = RecordingReader.open(data);
  const [facts] = reader?.find(session) ?? [];
  reader?.close();
  if (facts === undefined) throw new Error(`${session} was not recorded`);
  return { path, id: facts.id, result };
}

/** The identity of a session, as the auditor's key and the age tool get it. */
async function identityOf(path: string, id: string, key = "auditor.txt"): Promise<CommandResult> {
  return run("age", "-d", "-i", join(folder, key), join(path, `${id}.key.age`));
}

// Without the package there is nothing to compare with; ./dev test installs it.
describe.skipIf(!hasAge)("the age tool (Debian package age)", () => {
  test("opens a session with the auditor's key, byte by byte as it was written", async () => {
    const { path, id, result } = await exported("S0", "export-0");
    expect(result).toMatchObject({ status: 0, stderr: "" });
    const session = await identityOf(path, id);
    expect(session.status).toBe(0);
    writeFileSync(join(path, "session.txt"), session.stdout, { mode: 0o600 });
    const sealed = readdirSync(path).filter((name) => name.includes(".sealed."));
    expect(sealed.length).toBeGreaterThan(1);
    let text = "";
    for (const name of sealed.toSorted()) {
      const opened = await run("age", "-d", "-i", join(path, "session.txt"), join(path, name));
      expect(opened.status).toBe(0);
      text += opened.stdout;
    }
    const numbers = text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line).text.split(" ")[1]);
    expect(numbers).toEqual(Array.from({ length: 60 }, (_, count) => String(2 * count + 1)));
    const unsealed = await runWeir(
      ["audit", "unseal", "S0", "--identity", "auditor.txt", "--data", join(folder, "data"), "--json"],
      { cwd: folder },
    );
    expect(unsealed.stdout).toBe(text);
  });

  test("opens nothing with another key, nor with the auditor's key past the session's", async () => {
    const { path, id } = await exported("S1", "export-1");
    expect((await identityOf(path, id, "stranger.txt")).status).not.toBe(0);
    const segment = readdirSync(path).find((name) => name.includes(".sealed.")) ?? "";
    for (const key of ["stranger.txt", "auditor.txt"]) {
      expect((await run("age", "-d", "-i", join(folder, key), join(path, segment))).status).not.toBe(0);
    }
  });

  test("opens no session with another session's key", async () => {
    const [a, b] = [await exported("S0", "export-a"), await exported("S1", "export-b")];
    writeFileSync(join(a.path, "session.txt"), (await identityOf(a.path, a.id)).stdout, { mode: 0o600 });
    const segment = readdirSync(b.path).find((name) => name.includes(".sealed.")) ?? "";
    expect((await run("age", "-d", "-i", join(a.path, "session.txt"), join(b.path, segment))).status).not.toBe(0);
  });

  test("opens nothing of a session that was shredded, whatever is left of it", async () => {
    const copy = copyOfData("shredded-data");
    for (const name of readdirSync(copy))
      if (name.endsWith(".lock") || name.endsWith(".sock")) rmSync(join(copy, name));
    const before = await exported("S2", "before", copy);
    const wrapped = readFileSync(join(before.path, `${before.id}.key.age`));
    const policies = join(folder, "policies");
    if (!existsSync(policies))
      await Bun.write(join(policies, "policy.yaml"), "apiVersion: weir.dev/v1\nkind: PolicySet\nname: t\n");
    const target = { postgres: { host: "127.0.0.1", port: 1, database: "d", user: "u", tls: "disable" } };
    const config = { name: "test", data: "shredded-data", listen: { postgres: { port: 0 } }, targets: { db: target } };
    writeFileSync(join(folder, "weir.yaml"), JSON.stringify(config));
    expect(await runWeir(["audit", "shred", before.id, "--reason", "a request"], { cwd: folder })).toMatchObject({
      status: 0,
    });
    const after = await exported("S2", "after", copy);
    expect(after.result.status).toBe(1);
    expect(after.result.stderr).toContain("it was shredded");
    expect(existsSync(join(after.path, `${after.id}.key.age`))).toBe(false);
    // The ciphertext is as it was; the wrapped key is nowhere any more.
    const segment = readdirSync(after.path).find((name) => name.includes(".sealed.")) ?? "";
    expect(readFileSync(join(after.path, segment))).toEqual(readFileSync(join(before.path, segment)));
    const stanza = wrapped.subarray(wrapped.indexOf("\n--- ") + 5);
    for (const name of readdirSync(copy, { recursive: true, withFileTypes: true })) {
      if (name.isFile()) expect(readFileSync(join(name.parentPath, name.name)).includes(stanza)).toBe(false);
    }
  });

  test("refuses a flipped byte, and weir names the segment it is in", async () => {
    const copy = copyOfData("flipped-data");
    const database = new Database(join(copy, RECORDINGS_FILE));
    flipSealedByte(database, 1, 5000);
    database.close();
    const { path, id, result } = await exported("S0", "flipped", copy);
    expect(result.stderr).toContain(`segment 1 (sealed) of ${id} was changed`);
    expect(result.status).toBe(1);
    writeFileSync(join(path, "session.txt"), (await identityOf(path, id)).stdout, { mode: 0o600 });
    const name = (number: number): string => join(path, `${id}.sealed.000${number}.age`);
    expect((await run("age", "-d", "-i", join(path, "session.txt"), name(0))).status).toBe(0);
    expect((await run("age", "-d", "-i", join(path, "session.txt"), name(1))).status).not.toBe(0);
  });
});

// As above: the auditor's key is made with it.
describe.skipIf(!hasAge)("on the gateway", () => {
  // Reading another process's memory takes Linux and the right to.
  const canLook = (): boolean => existsSync("/proc/self/mem") && process.getuid?.() === 0;

  test("neither the auditor's key nor a session's is in a file, and nothing sealed is there in the clear", async () => {
    const secrets = await identities();
    const files = readdirSync(join(folder, "data"), { recursive: true, withFileTypes: true }).filter((each) =>
      each.isFile(),
    );
    expect(files.map(({ name }) => name)).toContain(RECORDINGS_FILE);
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name));
      for (const form of secrets.flatMap(forms)) expect(bytes.includes(form)).toBe(false);
      expect(bytes.includes(SECRET)).toBe(false);
    }
  });

  // Only root may look into the process everywhere.
  test.skipIf(!canLook())("no session's key is in the memory of the process that sealed to it", async () => {
    const secrets = await identities();
    const found = searchMemory(child.pid, [...secrets.flatMap(forms), Buffer.from(recipient)]);
    // What it must know is found, so the search does find.
    expect(found.has(recipient)).toBe(true);
    found.delete(recipient);
    expect([...found]).toEqual([]);
  });

  /** The auditor's identity and those of all sessions, which only the auditor's key gives. */
  async function identities(): Promise<string[]> {
    const all = [auditor];
    for (const session of ["S0", "S1", "S2", "open"]) {
      const { path, id } = await exported(session, `identity-${session}`);
      all.push((await identityOf(path, id)).stdout.trim());
    }
    expect(new Set(all).size).toBe(5);
    return all;
  }
});

/** How a key may lie in memory or in a file: as text, as a string of two bytes a character, as its 32 bytes. */
function forms(identity: string): Buffer[] {
  return [Buffer.from(identity), Buffer.from(identity, "utf16le"), bech32Bytes(identity)];
}

/** The 32 bytes of an identity (BIP 173). */
function bech32Bytes(identity: string): Buffer {
  const alphabet = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
  const values = identity
    .slice("AGE-SECRET-KEY-1".length, -6)
    .split("")
    .map((char) => alphabet.indexOf(char));
  const bits = values.map((value) => value.toString(2).padStart(5, "0")).join("");
  return Buffer.from(Array.from({ length: 32 }, (_, at) => Number.parseInt(bits.slice(8 * at, 8 * at + 8), 2)));
}

/** Which of these are in a process's memory, as text. */
function searchMemory(pid: number, wanted: readonly Buffer[]): Set<string> {
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const piece = Buffer.alloc(PIECE_BYTES);
  // Most of what a process has reserved it has never touched.
  const zeros = Buffer.alloc(PIECE_BYTES);
  const longest = Math.max(...wanted.map(({ length }) => length));
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const [range = "", rights = ""] = line.split(" ");
      if (!rights.startsWith("rw")) continue;
      const [start = 0, end = 0] = range.split("-").map((each) => Number.parseInt(each, 16));
      for (let at = start; at < end; at += PIECE_BYTES - longest) {
        let length = 0;
        try {
          length = readSync(memory, piece, 0, Math.min(PIECE_BYTES, end - at), at);
        } catch {
          break; // Memory of a device, or gone meanwhile.
        }
        const bytes = piece.subarray(0, length);
        if (bytes.equals(zeros.subarray(0, length))) continue;
        for (const each of wanted) if (bytes.includes(each)) found.add(each.toString("latin1"));
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}
