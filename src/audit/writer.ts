/**
 * The log's writer, a Worker: takes records from the ring, turns them into leaves and commits them in groups.
 * A binary must be built with this file as a further entry point (see audit.ts).
 */
import { parentPort, workerData } from "node:worker_threads";
import { type Ended, durationMs, LeafWriter } from "./leaf.ts";
import { readSettings, type WriterMessage, type WriterSettings } from "./messages.ts";
import { EVENT, INTENT, OUTCOME } from "./record-layout.ts";
import { reasonOf } from "./reason.ts";
import { type AuditRecord, type IntentRecord, type OutcomeRecord, RecordReader } from "./record-reader.ts";
import {
  ORDER_ABANDON,
  ORDER_SERVE,
  RingConsumer,
  SharedRing,
  STATE_CLOSED,
  STATE_FAILED,
  STATE_SERVING,
} from "./ring.ts";
import { LogStore } from "./store.ts";

/** Records in one transaction: enough to share one fsync well, few enough that the first of them does not wait long. */
const GROUP_RECORDS_MAX = 2048;
const LEAVES_BYTES = 4 * 1024 * 1024;
/** How long records that nobody waits for are gathered before they are committed. */
const LINGER_MS = 10;
/** How long the writer looks at the ring before it sleeps: waking it costs about as much. */
const SPIN_US_MAX = 50;
/** It looks for less long each time it looked in vain: on a busy machine somebody else needs the processor more. */
const SPIN_US_MIN = 3;
/** After this long without a record the write-ahead log is moved into the file. */
const QUIET_MS = 200;

/** An intent of this run that waits for its outcome. */
type Waiting = { readonly index: number; readonly id: Uint8Array<ArrayBuffer>; readonly monoMs: number };

class Writer {
  readonly #settings: WriterSettings;
  readonly #ring: SharedRing;
  readonly #consumer: RingConsumer;
  readonly #reader: RecordReader;
  readonly #store: LogStore;
  readonly #leaves: LeafWriter;
  /** By sequence, and therefore in the order of their indices. */
  readonly #waiting = new Map<number, Waiting>();
  /** The last sequence that is in the log. */
  #sequence = 0;
  #spinUs = SPIN_US_MAX;

  constructor(settings: WriterSettings, ring: SharedRing) {
    this.#settings = settings;
    this.#ring = ring;
    this.#consumer = new RingConsumer(ring);
    this.#reader = new RecordReader(ring);
    this.#leaves = new LeafWriter(settings.boot, LEAVES_BYTES);
    this.#store = new LogStore(settings.path, {
      sizeBytesMax: settings.sizeBytesMax,
      thorough: settings.after !== null,
    });
    try {
      this.#recover();
    } catch (error) {
      this.#store.close();
      throw error;
    }
  }

  /** Closes what an earlier run, or this run's failed writer, has left open; nothing new is taken before. */
  #recover(): void {
    const { boot, after, timeMs } = this.#settings;
    const { found } = this.#store;
    const unknown: Ended = { sequence: null, timeMs, durationMs: null, outcome: { status: "unknown" } };
    const lostOutcomes = after === null ? null : outcomesIn(after.buffer);
    const leaves: Uint8Array<ArrayBuffer>[] = [];
    let index = this.#store.size;
    for (const intent of found.open) {
      const id = Buffer.from(intent.id);
      const isOurs = after !== null && intent.boot === boot && intent.sequence <= after.durable;
      if (isOurs && lostOutcomes?.has(intent.sequence) !== true) {
        this.#waiting.set(intent.sequence, { index: intent.index, id: new Uint8Array(id), monoMs: Number.NaN });
      } else {
        leaves.push(this.#leaves.outcome(index++, new Uint8Array(id), intent.index, unknown));
      }
    }
    if (after === null) {
      const previous = found.lastEvent === null ? "none" : found.lastEvent === "audit.closed" ? "clean" : "unclean";
      leaves.push(this.#leaves.own(index, "audit.opened", { previous, unknown: leaves.length }, timeMs));
    } else {
      const written = found.boot === boot ? found.sequence : 0;
      const gap = {
        from: written + 1,
        lost: after.handedOver - written,
        reason: after.reason,
        to: after.handedOver,
        unknown: leaves.length,
      };
      leaves.push(this.#leaves.own(index, "audit.gap", gap, timeMs));
      this.#sequence = after.handedOver;
    }
    this.#append(leaves);
    this.#ring.setDurable(this.#sequence);
  }

  /** Serves until it is told to end. Throws when a group cannot be committed. */
  serve(): void {
    for (;;) {
      if (this.#ring.order === ORDER_ABANDON) return this.#store.close();
      const head = this.#ring.head;
      if (head !== this.#consumer.position) {
        this.#linger(head);
        this.#commitGroup(this.#ring.head);
      } else if (this.#ring.order !== ORDER_SERVE) return this.#end();
      else this.#idle(head);
    }
  }

  /** What nobody waits for is given time to meet its like: an outcome its intent, a record the next one's fsync. */
  #linger(head: number): void {
    const { position } = this.#consumer;
    if (!this.#ring.isAwaited(position, head)) this.#ring.linger(position, LINGER_MS);
  }

  #end(): void {
    try {
      this.#store.checkpointAll();
    } catch {
      // All of it is durable as it is; the next run does this again.
    }
    this.#store.close();
  }

  /** Frees the file's locks after a failure. */
  abandon(): void {
    this.#store.close();
  }

  #commitGroup(head: number): void {
    const group: AuditRecord[] = [];
    while (group.length < GROUP_RECORDS_MAX) {
      const at = this.#consumer.next(head);
      if (at < 0) break;
      const record = this.#reader.read(at);
      if (record !== null) group.push(record);
    }
    if (group.length > 0) {
      this.#write(group);
      this.#ring.setDurable(this.#sequence);
      if (this.#ring.claimNotice()) say({ kind: "progress" });
    }
    // Only now: a writer that takes over after a failure reads in the ring what was lost.
    this.#consumer.release();
  }

  #write(group: readonly AuditRecord[]): void {
    const outcomes = new Map<number, OutcomeRecord>();
    const intents = new Map<number, IntentRecord>();
    for (const record of group) {
      if (record.type === INTENT) intents.set(record.sequence, record);
      else if (record.type === OUTCOME && intents.has(record.intent)) outcomes.set(record.intent, record);
    }
    this.#leaves.reset();
    const leaves: Uint8Array<ArrayBuffer>[] = [];
    for (const record of group) {
      const index = this.#store.size + leaves.length;
      if (record.type === INTENT) {
        const outcome = outcomes.get(record.sequence);
        leaves.push(this.#leaves.intent(index, record, outcome === undefined ? null : ended(record, outcome)));
        if (outcome === undefined) this.#waiting.set(record.sequence, { index, id: record.id, monoMs: record.monoMs });
      } else if (record.type === EVENT) {
        leaves.push(
          this.#leaves.event(index, record.kind, record.facts, record.truncated, record.sequence, record.timeMs),
        );
      } else if (outcomes.get(record.intent) !== record) {
        const intent = this.#waiting.get(record.intent);
        leaves.push(
          this.#leaves.outcome(index, intent?.id ?? null, intent?.index ?? null, ended(intent ?? null, record)),
        );
        this.#waiting.delete(record.intent);
      }
    }
    this.#sequence = group.at(-1)?.sequence ?? this.#sequence;
    this.#append(leaves);
  }

  #append(leaves: readonly Uint8Array<ArrayBuffer>[]): void {
    // Indices grow with sequences, so the first that waits is the lowest.
    const oldest = this.#waiting.values().next().value;
    const openFrom = oldest === undefined ? this.#store.size + leaves.length : oldest.index;
    this.#store.append(leaves, { boot: this.#settings.boot, sequence: this.#sequence, openFrom });
  }

  #idle(head: number): void {
    const until = Bun.nanoseconds() + this.#spinUs * 1000;
    while (Bun.nanoseconds() < until) {
      if (this.#ring.head !== head || this.#ring.order !== ORDER_SERVE) {
        this.#spinUs = Math.min(this.#spinUs * 2, SPIN_US_MAX);
        return;
      }
    }
    this.#spinUs = Math.max(this.#spinUs / 2, SPIN_US_MIN);
    this.#ring.sleep(head, QUIET_MS);
    if (this.#ring.head !== head || this.#ring.order !== ORDER_SERVE) return;
    this.#store.checkpoint();
    this.#ring.sleep(head, Number.POSITIVE_INFINITY);
  }
}

function ended(intent: { readonly monoMs: number } | null, record: OutcomeRecord): Ended {
  return {
    sequence: record.sequence,
    timeMs: record.timeMs,
    durationMs: intent === null ? null : durationMs(intent, record),
    outcome: record.outcome,
  };
}

/** The intents whose outcomes were handed over to a writer that failed before it committed them. */
function outcomesIn(buffer: SharedArrayBuffer): Set<number> {
  const ring = new SharedRing(buffer);
  const consumer = new RingConsumer(ring);
  const reader = new RecordReader(ring);
  const intents = new Set<number>();
  const head = ring.head;
  for (let at = consumer.next(head); at >= 0; at = consumer.next(head)) {
    const intent = reader.outcomeAt(at);
    if (intent !== null) intents.add(intent);
  }
  return intents;
}

function say(message: WriterMessage): void {
  parentPort?.postMessage(message);
}

function run(settings: WriterSettings): void {
  const ring = new SharedRing(settings.buffer);
  let writer: Writer | null = null;
  try {
    writer = new Writer(settings, ring);
    ring.state = STATE_SERVING;
    say({ kind: "serving" });
    writer.serve();
    ring.state = STATE_CLOSED;
    say({ kind: "closed" });
  } catch (error) {
    // The state first: the gateway's thread sees it with its next record, before any message arrives.
    ring.state = STATE_FAILED;
    try {
      writer?.abandon();
    } catch {
      // What cannot even be rolled back stays locked, and the log stays failed.
    }
    say({ kind: "failed", reason: reasonOf(error) });
  }
}

run(readSettings(workerData));
