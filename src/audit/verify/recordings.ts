/** Holds the segments of recordings that the log names against what recordings.db has of them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import Database from "libsql";
import { messageOf } from "../../core/message-of.ts";
import { sha256Hex } from "../sha256.ts";
import type { Findings } from "./finding.ts";
import type { Mark } from "./relations.ts";

/** The file beside the log. Its tables belong to those who record; docs/audit-log.md has them. */
const RECORDINGS_FILE = "recordings.db";
const BUSY_MS_MAX = 2000;

export class RecordedSegments {
  readonly #findings: Findings;
  readonly #database: Database.Database | null;
  readonly #segment: Database.Statement | null = null;
  readonly #recording: Database.Statement | null = null;
  /** How many segments of each recording the log names. */
  readonly #named = new Map<string, number>();
  readonly #shredded = new Set<string>();
  readonly #missing = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #started: { readonly index: number; readonly recording: string; readonly facts: Mark["facts"] }[] = [];
  /** How many recordings were pruned, as the log says. */
  #pruned = 0;
  #count = 0;

  /** `folder` null: there are no recordings where the log is. */
  constructor(folder: string | null, findings: Findings) {
    this.#findings = findings;
    const path = folder === null ? null : join(folder, RECORDINGS_FILE);
    this.#database = path === null || !existsSync(path) ? null : new Database(`${pathToFileURL(path).href}?mode=ro`);
    if (this.#database === null) return;
    try {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS_MAX}`);
      this.#segment = this.#database
        .prepare("SELECT data FROM segment WHERE recording = ? AND stream = ? AND number = ?")
        .raw(true);
      this.#recording = this.#database
        .prepare(
          `SELECT session, issuer, subject, target, kind, (SELECT data FROM wrapped_key WHERE recording = id)
           FROM recording WHERE id = ?`,
        )
        .raw(true);
    } catch (error) {
      findings.add("recording", RECORDINGS_FILE, `cannot be read: ${messageOf(error)}`);
    }
  }

  /** Takes the events of the log in order. */
  take(marks: readonly Mark[]): void {
    for (const { event, facts, index } of marks) {
      const { recording, recordings } = facts;
      if (event === "recording.pruned" && typeof recordings === "number") this.#pruned += recordings;
      if (typeof recording !== "string") continue;
      if (event === "recording.shredded") this.#shredded.add(recording);
      else if (event === "recording.ended") this.#ended.add(recording);
      else if (event === "recording.started") this.#started.push({ index, recording, facts });
      else if (event === "recording.segment") this.#check(index, recording, facts);
    }
  }

  /**
   * `isAll`: every entry of the log was read, so that each segment should have been named. `mustBeThere`: that the whole
   * file is missing is a finding. Returns remarks.
   */
  finish(isAll: boolean, mustBeThere: boolean): string[] {
    const remarks: string[] = [];
    if (mustBeThere && this.#database === null) this.#findFile();
    if (this.#count > 0) {
      remarks.push(
        this.#database === null
          ? `the log names ${this.#count} segments of recordings, and there is no ${RECORDINGS_FILE} here to hold against them`
          : `${this.#count} segments of recordings were held against ${RECORDINGS_FILE}`,
      );
    }
    if (this.#shredded.size > 0)
      remarks.push(`${this.#shredded.size} recordings were shredded: nobody can open what was sealed in them`);
    for (const each of this.#started) this.#compare(each);
    if (this.#missing.size > this.#pruned) {
      for (const recording of this.#missing) {
        const pruned =
          this.#pruned === 0 ? "recordings were pruned" : `more than ${this.#pruned} recordings were pruned`;
        const text = `is missing, and the log does not say that ${pruned}`;
        this.#findings.add("recording", `recording ${recording}`, text);
      }
    } else if (this.#missing.size > 0)
      remarks.push(`${this.#missing.size} recordings are not here any more; the log says that some were pruned`);
    if (isAll) this.#findUnnamed();
    return remarks;
  }

  close(): void {
    this.#database?.close();
  }

  /** Those that were shredded are nobody's loss, and of those that were pruned the log has only the number. */
  #findFile(): void {
    const kept = [...this.#named.keys()].filter((recording) => !this.#shredded.has(recording)).length;
    if (kept <= this.#pruned) return;
    const text = `is missing, and the log names ${kept} recordings with segments, of which ${this.#pruned} were pruned`;
    this.#findings.add("recording", RECORDINGS_FILE, text);
  }

  #check(index: number, recording: string, { stream, number, sha256 }: Mark["facts"]): void {
    this.#count++;
    this.#named.set(recording, (this.#named.get(recording) ?? 0) + 1);
    if (this.#segment === null || this.#recording === null) return;
    const place = `entry ${index}`;
    const name = `segment ${JSON.stringify(number)} (${JSON.stringify(stream)}) of recording ${recording}`;
    const [data] = columns(this.#segment.all([recording, stream, number])[0]);
    if (!(data instanceof Uint8Array)) {
      if (this.#recording.all([recording]).length === 0) this.#missing.add(recording);
      else this.#findings.add("recording", place, `names ${name}, which is missing`);
    } else if (sha256Hex(data) !== sha256) this.#findings.add("recording", place, `names ${name}, which was changed`);
  }

  /** Whose recording it is stands in the file too, and so does the key without which nobody opens what was sealed. */
  #compare({ index, recording, facts }: { index: number; recording: string; facts: Mark["facts"] }): void {
    if (this.#recording === null) return;
    const [row] = this.#recording.all([recording]);
    if (row === undefined) {
      this.#missing.add(recording);
      return;
    }
    const [session, issuer, subject, target, kind, key] = columns(row);
    const place = `recording ${recording}`;
    for (const [name, stored] of Object.entries({ session, issuer, subject, target, kind })) {
      if (isSame(stored, facts[name])) continue;
      this.#findings.add("recording", place, `its ${name} is not the one in entry ${index}`);
    }
    if (facts["sealed"] !== true) return;
    if (!(key instanceof Uint8Array)) {
      if (!this.#shredded.has(recording))
        this.#findings.add("recording", place, "has lost its key, and the log does not say that it was shredded");
    } else if (typeof facts["keySha256"] === "string" && sha256Hex(key) !== facts["keySha256"]) {
      this.#findings.add("recording", place, `its key is not the one in entry ${index}: it was exchanged`);
    }
  }

  /** The log comes a moment after the file: a recording that has not ended may be ahead of it. */
  #findUnnamed(): void {
    if (this.#database === null) return;
    const counts: unknown[] = this.#database
      .prepare("SELECT recording, count(*) FROM segment GROUP BY recording")
      .raw(true)
      .all([]);
    for (const row of counts) {
      const [recording, count] = columns(row);
      if (!this.#ended.has(String(recording))) continue;
      const named = this.#named.get(String(recording)) ?? 0;
      if (Number(count) > named) {
        this.#findings.add(
          "recording",
          `recording ${String(recording)}`,
          `has ${String(count)} segments, and the log names ${named}`,
        );
      }
    }
  }
}

/** What the log has may be cut, and a NUL cannot be stored in the file. */
function isSame(stored: unknown, said: Mark["facts"][string]): boolean {
  if (typeof stored !== "string" || typeof said !== "string") return false;
  const text = said.replaceAll("\0", "\u{FFFD}");
  return stored === text || (text.endsWith("…") && stored.startsWith(text.slice(0, -1)));
}

function columns(row: unknown): readonly unknown[] {
  return Array.isArray(row) ? row : [];
}
