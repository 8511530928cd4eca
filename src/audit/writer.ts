/**
 * The log's writer, a Worker: takes records from the ring, turns them into leaves and commits them in groups.
 * A binary must be built with this file as a further entry point (see audit.ts).
 */
import { parentPort, workerData } from "node:worker_threads";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Ended, durationMs, LeafWriter } from "./leaf.ts";
import { LogDamaged, LogLost } from "./log-file.ts";
import { LogKeys } from "./log-keys.ts";
import {
  type Pruned,
  readSettings,
  type SignedCheckpoint,
  type WriterMessage,
  type WriterSettings,
} from "./messages.ts";
import { checkpointText, readSize, signNote } from "./note.ts";
import { CHORE, EVENT, INTENT, OUTCOME } from "./record-layout.ts";
import { messageOf } from "../core/message-of.ts";
import {
  type AuditRecord,
  type ChoreRecord,
  type IntentRecord,
  type OutcomeRecord,
  RecordReader,
} from "./record-reader.ts";
import {
  ORDER_ABANDON,
  ORDER_SERVE,
  RingConsumer,
  SharedRing,
  STATE_CLOSED,
  STATE_FAILED,
  STATE_SERVING,
} from "./ring.ts";
import { LOG_FILE } from "./schema.ts";
import { type CheckpointOrder, LogStore, type StoreState } from "./store.ts";

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
/** While records keep coming, entries that were pruned are deleted in steps no closer than this. */
const PRUNE_STEP_MS = 1000;
/** How long the end waits for what is still to be deleted; the next run goes on with the rest. */
const PRUNE_AT_END_MS_MAX = 3000;

/** What to do about a log that is not what it once signed. */
const LOSS_HINT =
  ". Put the newest copy of the data folder back; if there is none, weir up --accept-loss goes on under a new name";

/** An intent of this run that waits for its outcome. */
type Waiting = { readonly index: number; readonly id: Uint8Array<ArrayBuffer>; readonly monoMs: number };

class Writer {
  readonly #settings: WriterSettings;
  readonly #ring: SharedRing;
  readonly #consumer: RingConsumer;
  readonly #reader: RecordReader;
  readonly #store: LogStore;
  readonly #keys: LogKeys;
  readonly #leaves: LeafWriter;
  /** By sequence, and therefore in the order of their indices. */
  readonly #waiting = new Map<number, Waiting>();
  /** The last sequence that is in the log. */
  #sequence = 0;
  #spinUs = SPIN_US_MAX;
  #signed: SignedCheckpoint = { size: -1, note: "" };
  /** There are entries that were pruned and are still to be deleted. */
  #isPruning: boolean;
  #deletedAtMs = 0;

  constructor(settings: WriterSettings, ring: SharedRing) {
    this.#settings = settings;
    this.#ring = ring;
    this.#consumer = new RingConsumer(ring);
    this.#reader = new RecordReader(ring);
    this.#leaves = new LeafWriter(settings.boot, LEAVES_BYTES);
    const path = join(settings.folder, LOG_FILE);
    // A log that this run has written to is not made anew.
    if (settings.after !== null && !existsSync(path)) throw new LogDamaged(`${path} was taken away: put it back`);
    this.#store = new LogStore(path, {
      sizeBytesMax: settings.sizeBytesMax,
      thorough: settings.after !== null,
      origin: settings.origin,
      isLossAccepted: settings.isLossAccepted,
    });
    try {
      const { first } = this.#store.found;
      this.#keys = this.#openKeys();
      this.#recover();
      this.#keys.publish();
      // An earlier run may not have come to the end of it.
      this.#isPruning = first > 0;
    } catch (error) {
      this.#store.close();
      throw error;
    }
  }

  /** The log's keys; those of a new origin when the log has lost entries, or its key, and its owner accepts that. */
  #openKeys(): LogKeys {
    const { folder, isLossAccepted } = this.#settings;
    const { checkpoint, loss } = this.#store.found;
    if (loss !== null) return this.#beginOrigin(loss);
    try {
      return LogKeys.open(folder, this.#store.origin, checkpoint?.note ?? null);
    } catch (error) {
      if (!isLossAccepted || !(error instanceof LogLost)) throw error;
      return this.#beginOrigin(messageOf(error));
    }
  }

  #beginOrigin(reason: string): LogKeys {
    const { folder, boot, timeMs } = this.#settings;
    const { origin: old, found, size } = this.#store;
    const origin = nextOrigin(old);
    const { keys, oldKey } = LogKeys.begin(folder, origin);
    const facts = { new: origin, newKey: keys.vkey, old, oldKey, reason };
    const leaf = this.#leaves.own(size, "audit.loss_accepted", facts, timeMs);
    const open = found.open.map(({ index }) => index);
    const state = { boot, sequence: 0, openFrom: open[0] ?? size + 1 };
    const order: CheckpointOrder = { timeMs, open, sign: (to, root) => signCheckpoint(origin, to, root, keys) };
    this.#signed = { note: this.#store.beginOrigin(origin, leaf, state, order), size: size + 1 };
    keys.finish();
    return keys;
  }

  /** Closes what an earlier run, or this run's failed writer, has left open; nothing new is taken before. */
  #recover(): void {
    const { boot, after, timeMs } = this.#settings;
    const { found } = this.#store;
    const kept = found.boot === boot ? found.sequence : 0;
    if (after !== null && kept < after.durable)
      throw new LogDamaged(
        `the log lacks what was durable in it (${kept} of ${after.durable} records): its file was exchanged`,
      );
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
      const gap = {
        from: kept + 1,
        lost: after.handedOver - kept,
        reason: after.reason,
        to: after.handedOver,
        unknown: leaves.length,
      };
      leaves.push(this.#leaves.own(index, "audit.gap", gap, timeMs));
      this.#sequence = after.handedOver;
    }
    this.#appendAndSign(leaves, timeMs);
    this.#ring.setDurable(this.#sequence);
  }

  /** Serves until it is told to end. Throws when a group cannot be committed. */
  serve(): void {
    this.#ring.state = STATE_SERVING;
    say({ kind: "serving", origin: this.#store.origin, vkey: this.#keys.vkey, checkpoint: this.#signed });
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
    if (!this.#ring.isAwaited(position, head)) this.#ring.linger(position, this.#settings.gatherMs ?? LINGER_MS);
  }

  #end(): void {
    const until = performance.now() + PRUNE_AT_END_MS_MAX;
    while (this.#isPruning && performance.now() < until) this.#deletePruned();
    this.#store.finish();
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
    const chores: ChoreRecord[] = [];
    while (group.length < GROUP_RECORDS_MAX) {
      const at = this.#consumer.next(head);
      if (at < 0) break;
      const record = this.#reader.read(at);
      if (record === null) continue;
      if (record.type === CHORE) chores.push(record);
      else group.push(record);
    }
    if (group.length > 0) {
      this.#write(group);
      this.#ring.setDurable(this.#sequence);
      if (this.#ring.claimNotice()) say({ kind: "progress" });
    }
    for (const chore of chores) this.#do(chore);
    if (this.#isPruning && performance.now() - this.#deletedAtMs > PRUNE_STEP_MS) this.#deletePruned();
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
    this.#store.append(leaves, this.#state(leaves.length));
  }

  #state(leaves: number): StoreState {
    // Indices grow with sequences, so the first that waits is the lowest.
    const oldest = this.#waiting.values().next().value;
    const openFrom = oldest === undefined ? this.#store.size + leaves : oldest.index;
    return { boot: this.#settings.boot, sequence: this.#sequence, openFrom };
  }

  /* ---- checkpoints, keys, pruning ---- */

  #do({ kind, timeMs, number, data }: ChoreRecord): void {
    if (kind === "checkpoint") {
      if (this.#signed.size === this.#store.size) return;
      this.#appendAndSign([], timeMs);
      say({ kind: "checkpoint", ...this.#signed });
    } else if (kind === "heartbeat") {
      this.#appendAndSign([this.#own("audit.heartbeat", { size: this.#store.size }, timeMs)], timeMs);
      say({ kind: "checkpoint", ...this.#signed });
    } else if (kind === "cosigned") {
      this.#store.keepCosigned(number, timeMs, Buffer.from(data).toString("utf8"));
    } else if (kind === "stamp") this.#store.keepStamp(number, timeMs, data);
    else if (kind === "rotate") this.#rotate(timeMs);
    else this.#prune(kind === "pruneBefore" ? number : this.#store.firstSince(number), timeMs);
  }

  #own(kind: string, facts: Readonly<Record<string, string | number>>, timeMs: number): Uint8Array<ArrayBuffer> {
    this.#leaves.reset();
    return this.#leaves.own(this.#store.size, kind, facts, timeMs);
  }

  /** Appends leaves, if any, and signs what the log is then. */
  #appendAndSign(leaves: readonly Uint8Array<ArrayBuffer>[], timeMs: number): void {
    const { origin } = this.#store;
    const order: CheckpointOrder = {
      timeMs,
      open: Array.from(this.#waiting.values(), ({ index }) => index),
      sign: (size, root) => signCheckpoint(origin, size, root, this.#keys),
    };
    const note = this.#store.append(leaves, this.#state(leaves.length), order);
    this.#signed = { size: this.#store.size, note };
  }

  /** The entry that names both keys and the checkpoint that both have signed are one transaction: a kill leaves one key or the other. */
  #rotate(timeMs: number): void {
    const { oldKey, newKey } = this.#keys.begin();
    this.#appendAndSign([this.#own("audit.key_rotated", { old: oldKey, new: newKey }, timeMs)], timeMs);
    this.#keys.finish();
    say({ kind: "checkpoint", ...this.#signed });
    say({ kind: "rotated", oldKey, newKey });
  }

  #prune(before: number, timeMs: number): void {
    const oldest = this.#waiting.values().next().value?.index ?? this.#store.size;
    const heldFrom = this.#settings.isWitnessed ? Math.min(oldest, this.#store.cosignedSize()) : oldest;
    const { first } = this.#store;
    const to = this.#store.prunable(before, heldFrom);
    const pruned: Pruned = { first, to, entries: to - first };
    if (to > first) {
      this.#store.prune(this.#own("audit.pruned", { ...pruned }, timeMs), this.#state(1), to);
      this.#isPruning = true;
    }
    say({ kind: "pruned", ...pruned });
  }

  /** One step. */
  #deletePruned(): void {
    this.#isPruning = this.#store.deletePruned();
    this.#deletedAtMs = performance.now();
  }

  #idle(head: number): void {
    if (this.#isPruning) return this.#deletePruned();
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

function signCheckpoint(origin: string, size: number, root: Uint8Array, keys: LogKeys): string {
  return signNote(checkpointText({ origin, size, root, extensions: [] }), keys.signers);
}

/** `gw`, `gw/2`, `gw/3`, ... */
function nextOrigin(origin: string): string {
  const at = origin.lastIndexOf("/");
  const number = readSize(origin.slice(at + 1));
  return at < 1 || number === null || number < 2 ? `${origin}/2` : `${origin.slice(0, at)}/${number + 1}`;
}

function say(message: WriterMessage): void {
  parentPort?.postMessage(message);
}

function run(settings: WriterSettings): void {
  const ring = new SharedRing(settings.buffer);
  let writer: Writer | null = null;
  try {
    writer = new Writer(settings, ring);
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
    const hint = error instanceof LogLost && !settings.isLossAccepted ? LOSS_HINT : "";
    say({ kind: "failed", reason: messageOf(error) + hint });
  }
}

run(readSettings(workerData));
