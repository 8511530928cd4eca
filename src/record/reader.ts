/** Reads recordings beside a running gateway, or from a copy of its folder. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import Database from "libsql";
import * as v from "valibot";
import { RECORDING_KINDS, RECORDING_STREAMS, type RecordingStream } from "../core/recording.ts";
import { APPLICATION_ID, RECORDINGS_FILE, SCHEMA_VERSION } from "./schema.ts";

const BUSY_MS_MAX = 2000;

const recordingSchema = v.object({
  id: v.string(),
  session: v.string(),
  kind: v.picklist(RECORDING_KINDS),
  issuer: v.string(),
  subject: v.string(),
  target: v.string(),
  started_ms: v.number(),
  ended_ms: v.nullable(v.number()),
  reason: v.nullable(v.string()),
  recipient: v.nullable(v.string()),
  has_key: v.number(),
});

/** A recording without what it holds. */
export type RecordingFacts = {
  readonly id: string;
  readonly session: string;
  readonly kind: "transcript" | "asciicast";
  readonly issuer: string;
  readonly subject: string;
  readonly target: string;
  readonly startedMs: number;
  /** Null: it goes on. */
  readonly endedMs: number | null;
  readonly reason: string | null;
  /** none: nothing of it was to be sealed. open: the auditors can open it. shredded: its key was deleted. */
  readonly seal: "none" | "open" | "shredded";
  /** The age recipient of its sealed segments. */
  readonly recipient: string | null;
};

const segmentRow = v.strictTuple([v.number(), v.number(), v.instance(Uint8Array), v.instance(Uint8Array)]);
const keyRow = v.strictTuple([v.instance(Uint8Array)]);

/** A segment as it is stored. */
export type Segment = {
  readonly recording: string;
  readonly stream: RecordingStream;
  readonly number: number;
  readonly startedMs: number;
  readonly data: Uint8Array;
  /** Lower-case hex, worked out from `data`. */
  readonly sha256: string;
  /** What the row says it should be. */
  readonly sha256Said: string;
};

const COLUMNS = `id, session, kind, issuer, subject, target, started_ms, ended_ms, reason, recipient,
  EXISTS (SELECT 1 FROM wrapped_key WHERE recording = id) AS has_key`;

export class RecordingReader {
  readonly #database: Database.Database;

  private constructor(database: Database.Database) {
    this.#database = database;
  }

  /** Null when nothing was ever recorded in this folder. Throws when the file is not one of recordings. */
  static open(folder: string): RecordingReader | null {
    const path = join(folder, RECORDINGS_FILE);
    if (!existsSync(path)) return null;
    const database = new Database(path, { readonly: true });
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      const [application, version] = ["application_id", "user_version"].map((name) => {
        const [row] = database.prepare(`PRAGMA ${name}`).raw(true).all([]);
        return Array.isArray(row) ? Number(row[0]) : 0;
      });
      // Made a moment ago, and not filled yet.
      if (application === 0) return close(database);
      if (application !== APPLICATION_ID) throw new Error(`${path} does not hold recordings of weir's`);
      if (version !== SCHEMA_VERSION) {
        throw new Error(`${path} has version ${version} of its tables; this weir reads version ${SCHEMA_VERSION}`);
      }
      return new RecordingReader(database);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** By the id of the recording or of the session, in the order in which they began. */
  find(id: string): RecordingFacts[] {
    return this.#recordings("WHERE id = ?1 OR session = ?1 ORDER BY started_ms, id", [id]);
  }

  /** The newest first. */
  latest(count: number): RecordingFacts[] {
    return this.#recordings("ORDER BY started_ms DESC, id LIMIT ?1", [count]);
  }

  /** How many recordings ended before an instant. */
  endedBefore(timeMs: number): number {
    const [row] = this.#database.prepare("SELECT count(*) FROM recording WHERE ended_ms < ?").raw(true).all([timeMs]);
    return v.parse(v.strictTuple([v.number()]), row)[0];
  }

  /** In order. */
  *segments(recording: string, stream: RecordingStream): Generator<Segment> {
    v.parse(v.picklist(RECORDING_STREAMS), stream);
    // One at a time: a segment has up to a megabyte. Raw rows: others have ArrayBuffers in them.
    const statement = this.#database
      .prepare(
        `SELECT number, started_ms, sha256, data FROM segment
         WHERE recording = ? AND stream = ? AND number >= ? ORDER BY number LIMIT 1`,
      )
      .raw(true);
    for (let next = 0; ;) {
      const [row] = statement.all([recording, stream, next]);
      if (row === undefined) return;
      const [number, startedMs, sha256, data] = v.parse(segmentRow, row);
      next = number + 1;
      yield {
        recording,
        stream,
        number,
        startedMs,
        data,
        sha256: createHash("sha256").update(data).digest("hex"),
        sha256Said: Buffer.from(sha256).toString("hex"),
      };
    }
  }

  /** The age file with the identity that opens what is sealed; null when there is none, or none any more. */
  wrappedKey(recording: string): Uint8Array | null {
    const [row] = this.#database.prepare("SELECT data FROM wrapped_key WHERE recording = ?").raw(true).all([recording]);
    return row === undefined ? null : v.parse(keyRow, row)[0];
  }

  close(): void {
    this.#database.close();
  }

  #recordings(where: string, values: unknown[]): RecordingFacts[] {
    const rows = this.#database.prepare(`SELECT ${COLUMNS} FROM recording ${where}`).all(values);
    return rows.map((row) => {
      const { id, session, kind, issuer, subject, target, reason, recipient, ...numbers } = v.parse(
        recordingSchema,
        row,
      );
      if (!isId(id)) throw new Error("a recording here has an id that no weir gave it: this is not what was recorded");
      const { started_ms: startedMs, ended_ms: endedMs, has_key } = numbers;
      const seal = recipient === null ? "none" : has_key === 1 ? "open" : "shredded";
      return { id, session, kind, issuer, subject, target, startedMs, endedMs, reason, seal, recipient };
    });
  }
}

/** Ids become names of files. */
function isId(id: string): boolean {
  const plain = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return id !== "" && Array.from(id).every((char) => plain.includes(char));
}

function close(database: Database.Database): null {
  database.close();
  return null;
}
