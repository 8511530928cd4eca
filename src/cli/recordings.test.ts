/** `weir audit replay`, `unseal` and `shred` as processes, on a folder that the real log and recorder wrote. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Encrypter } from "age-encryption";
import Database from "libsql";
import { runWeir, startGateway, type CommandResult } from "../../test/gateway.ts";
import { flipSealedByte, newAuditor, sessionOf, type Auditor } from "../../test/recordings.ts";
import { AuditLog } from "../audit/audit.ts";
import { LogReader } from "../audit/query.ts";
import type { SessionRecording } from "../core/recording.ts";
import { KeptRecorder } from "../record/recorder.ts";
import { RECORDINGS_FILE } from "../record/schema.ts";

setDefaultTimeout(240_000);

const CLOCK = { now: () => Date.UTC(2026, 10, 21, 3, 0, 0, 250) };
const AT = Date.UTC(2026, 10, 21, 3, 0, 1);
const AUDIT = ({ recipient }: Auditor) => ({ seal: { recipients: [recipient] } });
const NOWHERE = { host: "127.0.0.1", port: 1, database: "d", user: "u", tls: "disable" };

let auditor: Auditor;
let folder: string;
let ids: { readonly transcript: string; readonly cast: string; readonly other: string };
beforeAll(async () => {
  auditor = await newAuditor();
  folder = mkdtempSync(join(tmpdir(), "weir-replay-"));
  mkdirSync(join(folder, "policies"));
  writeFileSync(join(folder, "policies/policy.yaml"), "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n");
  const config = {
    name: "gw",
    listen: { postgres: { port: 0 } },
    targets: { db: { postgres: NOWHERE } },
    audit: AUDIT(auditor),
  };
  writeFileSync(join(folder, "weir.yaml"), JSON.stringify(config));
  writeFileSync(
    join(folder, "auditor.txt"),
    `# created: today\n# public key: ${auditor.recipient}\n${auditor.identity}\n`,
  );
  ids = await record(join(folder, "data"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A transcript and a terminal, both with a sealed part. */
async function record(data: string): Promise<typeof ids> {
  const log = await AuditLog.open({ folder: data, origin: "gw", clock: CLOCK });
  const recorder = new KeptRecorder({
    folder: data,
    recipients: [auditor.recipient],
    log,
    clock: CLOCK,
    say: () => {},
  });
  const open = async (id: string, kind: "transcript" | "asciicast"): Promise<SessionRecording> =>
    recorder.open(sessionOf(id), () => {}, kind);
  const transcript = await open("SESSION-1", "transcript");
  const operation = "OP-7";
  transcript.write("clear", {
    kind: "input",
    operation,
    atMs: AT,
    text: "SELECT name\nFROM people WHERE id = $1",
    parameters: ["7", null],
  });
  transcript.write("clear", { kind: "columns", operation, atMs: AT, names: ["name", "note\u001b]52;c;x\u0007"] });
  transcript.write("clear", { kind: "rows", operation, atMs: AT, rows: [["Ann\u001b[2J", null]] });
  transcript.write("clear", { kind: "end", operation, atMs: AT + 40, status: "done", rows: 1 });
  transcript.write("clear", { kind: "note", atMs: AT + 50, text: "the client left" });
  transcript.write("sealed", { kind: "rows", operation, atMs: AT, rows: [["the real name", null]] });
  const cast = await open("SESSION-2", "asciicast");
  for (const stream of ["clear", "sealed"] as const) {
    cast.write(stream, { kind: "terminal", atMs: AT, columns: 80, rows: 24 });
  }
  cast.write("clear", { kind: "event", atMs: AT + 10, code: "o", data: "\u001b[1m$ ls\u001b[0m\r\na\tb\r\n" });
  cast.write("sealed", { kind: "event", atMs: AT + 5, code: "i", data: "ls\r" });
  cast.write("clear", { kind: "event", atMs: AT + 20, code: "x", data: "0" });
  const other = await open("SESSION-3", "transcript");
  await recorder.close();
  await log.close();
  return { transcript: transcript.id, cast: cast.id, other: other.id };
}

async function weir(...args: string[]): Promise<CommandResult> {
  return runWeir(args, { cwd: folder });
}

let places = 0;

/** A copy of everything, for a test that changes what others look at. */
function place(): {
  readonly path: string;
  readonly data: string;
  weir(...args: string[]): Promise<CommandResult>;
} {
  const path = join(folder, `place-${places++}`);
  for (const name of ["policies", "weir.yaml", "auditor.txt", "data"]) {
    cpSync(join(folder, name), join(path, name), { recursive: true });
  }
  return { path, data: join(path, "data"), weir: async (...args) => runWeir(args, { cwd: path }) };
}

/** A copy of the data folder, changed by `change`. */
function copied(name: string, change: (database: Database.Database) => void = () => {}): string {
  const path = join(folder, `${name}-${places++}`);
  cpSync(join(folder, "data"), path, { recursive: true });
  const database = new Database(join(path, RECORDINGS_FILE));
  change(database);
  database.close();
  return path;
}

async function eventsOf(kind: string, data = join(folder, "data")): Promise<unknown[]> {
  const log = LogReader.open(data);
  try {
    const entries = await log.tail(100);
    return entries.flatMap(({ leaf }) => (leaf.shape === "event" && leaf.event === kind ? [leaf.facts] : []));
  } finally {
    log.close();
  }
}

describe("replay", () => {
  test("prints a transcript, and nothing in it reaches the terminal as a control character", async () => {
    for (const id of [ids.transcript, "SESSION-1"]) {
      const { status, stdout, stderr } = await weir("audit", "replay", id);
      expect(stdout.split("\n")).toEqual([
        "03:00:01.000  OP-7  > SELECT name",
        "      FROM people WHERE id = $1",
        "    $1 = '7'",
        "    $2 = NULL",
        "    name | note\\u001b]52;c;x\\u0007",
        "    'Ann\\u001b[2J' | NULL",
        "03:00:01.040  OP-7  < done, 1 row",
        "03:00:01.050  (the client left)",
        "",
      ]);
      expect(stderr).toBe(
        `${ids.transcript}  transcript of ann on shop, session SESSION-1, 2026-11-21T03:00:00.250Z to 2026-11-21T03:00:00.250Z (closed), partly sealed\n`,
      );
      expect(status).toBe(0);
    }
  });

  test("ends at a segment that was put into a recording that seems to go on", async () => {
    const path = copied("added", (database) => {
      database.exec("UPDATE recording SET ended_ms = NULL, logged = 1");
      database
        .prepare(
          `INSERT INTO segment SELECT recording, stream, 1, started_ms, sha256, bytes, data, 1 FROM segment
           WHERE recording = ? AND stream = 'clear' AND number = 0`,
        )
        .run([ids.transcript]);
    });
    const { status, stderr } = await weir("audit", "replay", ids.transcript, "--data", path);
    expect(stderr).toContain(`segment 1 (clear) of ${ids.transcript} is not in the log`);
    expect(status).toBe(1);
  });

  test("an id that would be a path writes nothing", async () => {
    const path = copied("path", (database) => {
      for (const table of ["segment", "wrapped_key"])
        database.prepare(`UPDATE ${table} SET recording = '../out' WHERE recording = ?`).run([ids.transcript]);
      database.prepare("UPDATE recording SET id = '../out' WHERE id = ?").run([ids.transcript]);
    });
    const out = join(folder, "exported");
    const { status, stderr } = await weir("audit", "unseal", "SESSION-1", "--data", path, "--export-age", out);
    expect(stderr).toContain("an id that no weir gave it");
    expect(status).not.toBe(0);
    expect(existsSync(join(folder, "out.key.age"))).toBe(false);
  });

  test("prints a terminal as plain text in a pipe", async () => {
    const { status, stdout } = await weir("audit", "replay", ids.cast);
    expect(stdout).toBe("\\u001b[1m$ ls\\u001b[0m\na\tb\n\n(exit status 0)\n\n");
    expect(status).toBe(0);
  });

  test("gives the lines as they were recorded", async () => {
    const { stdout } = await weir("audit", "replay", "--json", ids.cast);
    expect(stdout.split("\n")).toEqual([
      '{"version":3,"term":{"cols":80,"rows":24},"timestamp":1795230001}',
      '[0.01,"o","\\u001b[1m$ ls\\u001b[0m\\r\\na\\tb\\r\\n"]',
      '[0.01,"x","0"]',
      "",
    ]);
  });

  test("ends at a segment that was changed, and names it", async () => {
    const flip = copied("flipped", (database) => {
      database.exec(
        `UPDATE segment SET data = CAST(replace(CAST(data AS TEXT), 'Ann', 'Bob') AS BLOB) WHERE stream = 'clear'`,
      );
    });
    const { status, stdout, stderr } = await weir("audit", "replay", ids.transcript, "--data", flip);
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain(`weir: segment 0 (clear) of ${ids.transcript} was changed: its SHA-256 is `);
  });

  test("finds a segment that was changed together with its hash, and one that is gone, by the log", async () => {
    const rewritten = copied("rewritten", (database) => {
      database.exec(
        "UPDATE segment SET data = x'0a', sha256 = x'01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b'",
      );
    });
    const changed = await weir("audit", "replay", ids.transcript, "--data", rewritten);
    expect(changed.stderr).toContain("and the log says");
    expect(changed.status).toBe(1);
    const cut = copied("cut", (database) => database.exec("DELETE FROM segment WHERE stream = 'clear'"));
    const gone = await weir("audit", "replay", ids.transcript, "--data", cut);
    expect(gone.stderr).toContain(`segment 0 (clear) of ${ids.transcript} is missing: the log names it`);
    expect(gone.status).toBe(1);
    const added = copied("added", (database) => {
      database.exec(
        "INSERT INTO segment SELECT recording, stream, 1, started_ms, sha256, bytes, data, 1 FROM segment WHERE stream = 'clear'",
      );
    });
    const planted = await weir("audit", "replay", ids.transcript, "--data", added);
    expect(planted.stderr).toContain(`segment 1 (clear) of ${ids.transcript} is not in the log`);
    expect(planted.status).toBe(1);
  });

  test("says so where there is no log, and still finds a changed byte", async () => {
    const flip = copied("alone", (database) => {
      database.exec("UPDATE segment SET data = CAST(replace(CAST(data AS TEXT), 'Ann', 'Bob') AS BLOB)");
    });
    for (const name of readdirSync(flip)) if (name.startsWith("audit.")) rmSync(join(flip, name));
    const { status, stderr } = await weir("audit", "replay", ids.transcript, "--data", flip);
    expect(stderr).toContain("There is no log in this folder");
    expect(stderr).toContain("was changed");
    expect(status).toBe(1);
  });

  test("knows what it was not given", async () => {
    expect(await weir("audit", "replay", "R-NOBODY")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("there is no recording of R-NOBODY"),
    });
    expect(await weir("audit", "replay", "x", "--data", join(folder, "policies"))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("holds no recordings"),
    });
    expect(await weir("audit", "replay", "x", "--speed", "0")).toMatchObject({ status: 2 });
    expect(await weir("audit", "replay", "x", "--idle-limit", "soon")).toMatchObject({ status: 2 });
  });
});

describe("unseal", () => {
  test("opens it with the auditor's key, and the log says who, why and with which key", async () => {
    const own = place();
    const why = ["--identity", "auditor.txt", "--reason", "case 7"];
    const { status, stdout } = await own.weir("audit", "unseal", ids.transcript, ...why);
    expect(stdout).toBe("    'the real name' | NULL\n");
    expect(status).toBe(0);
    expect(await eventsOf("recording.unsealed", own.data)).toMatchObject([
      {
        recording: ids.transcript,
        reason: "case 7",
        keys: [auditor.recipient],
        by: expect.stringContaining(", command line"),
      },
    ]);
  });

  test("through the running gateway, which records it, and shreds", async () => {
    const own = place();
    const gateway = await startGateway({ folder: own.path, config: { name: "gw", audit: AUDIT(auditor) } });
    try {
      const identity = ["--identity", join(folder, "auditor.txt")];
      const unsealed = await gateway.weir("audit", "unseal", "SESSION-2", ...identity, "--reason", "why not", "--json");
      expect(unsealed.stdout).toContain('[0.005,"i","ls\\r"]');
      expect(unsealed.status).toBe(0);
      const shown = await gateway.weir("audit", "show", ids.cast, "--json");
      expect(shown.stdout).toContain('"reason":"why not"');
      expect(shown.stdout).toContain("local socket");
      const shredded = await gateway.weir("audit", "shred", ids.other, "--reason", "asked to");
      expect(shredded).toMatchObject({ status: 0, stdout: `${ids.other} cannot be opened any more\n` });
      const again = await gateway.weir("audit", "unseal", ids.other, ...identity, "--reason", "again");
      expect(again.stderr).toContain("was shredded: its key is gone");
    } finally {
      await gateway.stop();
    }
  });

  test("writes it to files", async () => {
    const own = place();
    const out = join(own.path, "opened");
    const args = ["audit", "unseal", ids.cast, "--identity", "auditor.txt", "--reason", "r", "--out", out];
    const { status, stdout } = await own.weir(...args);
    expect(status).toBe(0);
    expect(stdout).toBe(`${join(out, `${ids.cast}.sealed.cast`)}\n`);
    expect(readFileSync(stdout.trim(), "utf8").split("\n")[1]).toBe('[0.005,"i","ls\\r"]');
    expect((await own.weir(...args)).status).toBe(1);
  });

  test("from a copy nothing is recorded, and it says so", async () => {
    const copy = copied("copy");
    const before = await eventsOf("recording.unsealed");
    const size = readFileSync(join(copy, "audit.db")).length;
    const { status, stdout, stderr } = await weir(
      "audit",
      "unseal",
      ids.transcript,
      "--identity",
      "auditor.txt",
      "--data",
      copy,
    );
    expect(stdout).toContain("the real name");
    expect(stderr).toContain("Nothing was recorded about this");
    expect(status).toBe(0);
    expect(await eventsOf("recording.unsealed")).toEqual(before);
    expect(readFileSync(join(copy, "audit.db")).length).toBe(size);
  });

  test("names a changed byte before it is opened, also behind a fresh hash", async () => {
    const flip = copied("sealed-flip", (database) => flipSealedByte(database, 0, -1));
    const { status, stdout, stderr } = await weir(
      "audit",
      "unseal",
      ids.transcript,
      "--identity",
      "auditor.txt",
      "--data",
      flip,
    );
    expect(stderr).toContain(`segment 0 (sealed) of ${ids.transcript} was changed`);
    expect(stdout).toBe("");
    expect(status).toBe(1);
  });

  test("says that the key was exchanged for another one to the same auditor", async () => {
    const forger = new Encrypter();
    forger.addRecipient(auditor.recipient);
    const forged = Buffer.from(await forger.encrypt(`${(await newAuditor()).identity}\n`));
    const path = copied("exchanged", (database) => {
      database.prepare("UPDATE wrapped_key SET data = ?").run([forged]);
    });
    const opened = await weir("audit", "unseal", ids.transcript, "--identity", "auditor.txt", "--data", path);
    expect(opened.stderr).toContain(`the key of ${ids.transcript} was exchanged: its SHA-256 is `);
    expect(opened).toMatchObject({ status: 1, stdout: "" });
    const out = join(folder, "exchanged-age");
    const exported = await weir("audit", "unseal", ids.transcript, "--data", path, "--export-age", out);
    expect(exported.stderr).toContain(`the key of ${ids.transcript} was exchanged: its SHA-256 is `);
    expect(exported.status).toBe(1);
    const verified = await weir("audit", "verify", path);
    expect(verified.stdout).toContain(`recording ${ids.transcript}: its key is not the one in entry `);
    expect(verified.status).toBe(1);
  });

  test("takes no other key, no reason that is empty, and no identity that is none", async () => {
    const other = await newAuditor();
    writeFileSync(join(folder, "other.txt"), other.identity);
    writeFileSync(join(folder, "none.txt"), "# nothing here\n");
    writeFileSync(join(folder, "plugin.txt"), "AGE-PLUGIN-YUBIKEY-1QQQ\n");
    writeFileSync(join(folder, "locked.txt"), "age-encryption.org/v1\n-> scrypt\n");
    const before = await eventsOf("recording.unsealed");
    const tried = async (file: string, reason = "r"): Promise<CommandResult> =>
      weir("audit", "unseal", ids.transcript, "--identity", file, "--reason", reason);
    expect((await tried("other.txt")).stderr).toContain("the key of this recording is not opened by this key");
    expect((await tried("none.txt")).stderr).toContain("there is no age identity here");
    expect((await tried("plugin.txt")).stderr).toContain("identity of a plugin");
    expect((await tried("locked.txt")).stderr).toContain("is encrypted itself");
    expect((await tried("nowhere.txt")).status).toBe(1);
    expect((await tried("auditor.txt", " ")).status).toBe(2);
    expect(await eventsOf("recording.unsealed")).toEqual(before);
  });
});

test("shred is recorded before the key is gone, and then nothing opens it any more", async () => {
  const own = place();
  expect(await own.weir("audit", "shred", "R-NOBODY", "--reason", "r")).toMatchObject({ status: 1 });
  expect(await own.weir("audit", "shred", ids.transcript)).toMatchObject({ status: 2 });
  const { status, stdout } = await own.weir("audit", "shred", ids.transcript, "--reason", "a request", "--json");
  expect(JSON.parse(stdout)).toEqual({ recording: ids.transcript, shredded: true });
  expect(status).toBe(0);
  const told = { recording: ids.transcript, reason: "a request" };
  expect((await eventsOf("recording.shredded", own.data)).at(-1)).toMatchObject(told);
  const again = await own.weir("audit", "shred", ids.transcript, "--reason", "a request");
  expect(again.stdout).toContain("has no key: nothing was done");
  expect(await eventsOf("recording.shredded", own.data)).toHaveLength(1);
  const opened = await own.weir("audit", "unseal", ids.transcript, "--identity", "auditor.txt", "--reason", "r");
  expect(opened.stderr).toContain("was shredded: its key is gone");
  const exported = await own.weir("audit", "unseal", ids.transcript, "--export-age", join(folder, "shredded"));
  expect(exported.status).toBe(1);
  expect(existsSync(join(folder, "shredded", `${ids.transcript}.key.age`))).toBe(false);
  // What is in the clear, and what the log says of the ciphertext, stays.
  const replayed = await own.weir("audit", "replay", ids.transcript);
  expect(replayed.status).toBe(0);
  expect(replayed.stderr).toContain("its sealed part shredded");
});
