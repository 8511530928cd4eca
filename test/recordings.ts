/** A recorder in a folder of its own, over a log that takes what it is told to, for tests of recordings. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import Database from "libsql";
import { AuditUnavailable, type EventKind, type Sequence } from "../src/core/ports.ts";
import type { RecordingFailed, TranscriptLine } from "../src/core/recording.ts";
import type { Session } from "../src/core/session.ts";
import { RecordingReader, type RecordingFacts } from "../src/record/reader.ts";
import { KeptRecorder, type RecorderOptions, type RecordingLog } from "../src/record/recorder.ts";
import { DDL, RECORDINGS_FILE } from "../src/record/schema.ts";

type Facts = Readonly<Record<string, unknown>>;

/** A log in which everything is durable at once, unless it is told to fail or to lose what it takes. */
class TestLog implements RecordingLog {
  readonly events: { readonly kind: EventKind; readonly facts: Facts }[] = [];
  isFailing = false;
  isLosing = false;
  #sequence = 0;

  event(kind: EventKind, facts: Facts): Sequence {
    if (this.isFailing) throw new AuditUnavailable("the disk is full");
    if (!this.isLosing) this.events.push({ kind, facts });
    return ++this.#sequence;
  }

  waitDurable(): Promise<void> {
    return this.isLosing ? Promise.reject(new AuditUnavailable("lost")) : Promise.resolve();
  }

  of(kind: EventKind): Facts[] {
    return this.events.filter((event) => event.kind === kind).map(({ facts }) => facts);
  }
}

export type Auditor = { readonly identity: string; readonly recipient: string };

export async function newAuditor(): Promise<Auditor> {
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

export function sessionOf(id: string): Session {
  const proof = { method: "token", credential: "t", expiresAtMs: null } as const;
  return {
    id,
    identity: { kind: "human", issuer: "weir", subject: "ann", groups: [], proof },
    target: { name: "shop", adapter: "postgres", labels: {}, settings: null },
    openedAtMs: 0,
    source: "127.0.0.1",
  };
}

/** A folder with recordings, and recorders on it one after the other. */
export class RecordingYard implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "weir-recordings-"));
  readonly log = new TestLog();
  readonly said: string[] = [];
  readonly failures: RecordingFailed[] = [];
  timeMs = 1_000;
  readonly #recorders: KeptRecorder[] = [];

  recorder(more: Partial<RecorderOptions> = {}): KeptRecorder {
    const recorder = new KeptRecorder({
      folder: this.folder,
      recipients: [],
      log: this.log,
      clock: { now: () => this.timeMs },
      say: (line) => this.said.push(line),
      ...more,
    });
    this.#recorders.push(recorder);
    return recorder;
  }

  open(
    recorder: KeptRecorder,
    id = "S",
    kind: "transcript" | "asciicast" = "transcript",
  ): ReturnType<KeptRecorder["open"]> {
    return recorder.open(sessionOf(id), (failure) => this.failures.push(failure), kind);
  }

  read<T>(work: (reader: RecordingReader) => T): T {
    const reader = RecordingReader.open(this.folder);
    if (reader === null) throw new Error("nothing was recorded");
    try {
      return work(reader);
    } finally {
      reader.close();
    }
  }

  /** What there is of a session; there must be exactly one. */
  facts(session = "S"): RecordingFacts {
    const [facts, ...others] = this.read((reader) => reader.find(session));
    if (facts === undefined || others.length > 0) throw new Error(`the session ${session} has not one recording`);
    return facts;
  }

  /** The stored segments of a session, which must be as they are said to be and numbered from 0. */
  segments(stream: "clear" | "sealed", session = "S"): Uint8Array[] {
    const { id } = this.facts(session);
    return this.read((reader) =>
      [...reader.segments(id, stream)].map(({ data, number, sha256, sha256Said }, index) => {
        if (sha256 !== sha256Said || number !== index) throw new Error(`segment ${number} is not as it should be`);
        return data;
      }),
    );
  }

  /** The lines of the clear stream. */
  lines(session = "S"): string[] {
    const text = this.segments("clear", session).map((data) => Buffer.from(data).toString("utf8"));
    return text.join("").split("\n").slice(0, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const recorder of this.#recorders) await recorder.close().catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function inputLine(text: string, operation = "op-1"): TranscriptLine {
  return { kind: "input", operation, atMs: 5, text };
}

/** Inverts one byte of each sealed segment of this number, so that it differs whatever it was; `at` counts from the end where it is negative. */
export function flipSealedByte(database: Database.Database, number: number, at: number): void {
  const where = "stream = 'sealed' AND number = ?";
  const rows = database.prepare(`SELECT rowid AS id, data FROM segment WHERE ${where}`).all([number]) as {
    readonly id: number;
    readonly data: ArrayBuffer;
  }[];
  for (const { id, data } of rows) {
    const bytes = Buffer.from(data);
    const place = at < 0 ? bytes.length + at : at;
    bytes.writeUInt8(bytes.readUInt8(place) ^ 0xff, place);
    database.prepare("UPDATE segment SET data = ? WHERE rowid = ?").run([bytes, id]);
  }
}

/** Opens the recordings of a data folder with the right of whoever owns it, making the file when there is none. */
export function openRecordings(folder: string): Database.Database {
  const path = join(folder, RECORDINGS_FILE);
  const isNew = !existsSync(path);
  const database = new Database(path);
  if (isNew) database.exec(DDL);
  return database;
}
