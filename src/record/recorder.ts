/** Recordings as the gate sees them: a Worker keeps them, the log names each segment of them, and a failure ends sessions. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Audit, Clock, Sequence } from "../core/ports.ts";
import { RecordingFailed, type Recorder, type RecordingKind, type SessionRecording } from "../core/recording.ts";
import type { OperationId } from "../core/operation.ts";
import type { Session } from "../core/session.ts";
import { messageOf } from "../core/message-of.ts";
import { STALL_MS_MAX, STALL_SAID_MS, WAITING_BYTES_MAX } from "./limits.ts";
import { LiveRecording, Waiting, type FullSegment } from "./live-recording.ts";
import type {
  EndedRecording,
  LoggedRow,
  NewRecording,
  Owed,
  SealFacts,
  StoredSegment,
  WriterMessage,
  WriterSettings,
} from "./messages.ts";
import { RecordingsLink, type StartWriter } from "./recordings-link.ts";
import { RECORDINGS_FILE } from "./schema.ts";

/** A writer that has failed is not started again before this. */
const RESTART_MS_MIN = 1_000;
/** What the log did not take is offered again after this. */
const OWED_MS = 1_000;

/** What the recorder needs of the log. */
export type RecordingLog = Pick<Audit, "event"> & {
  /** Resolves when a record is durable; rejects when it was lost. */
  waitDurable(sequence: Sequence): Promise<void>;
};

export type RecorderOptions = {
  /** The data folder, which is there. */
  readonly folder: string;
  /** `audit.seal.recipients`; empty: nothing is sealed. */
  readonly recipients: readonly string[];
  readonly log: RecordingLog;
  readonly clock: Clock;
  /** One line for the operator. */
  say(line: string): void;
  /** The file grows to this and not beyond. Absent: only the disk bounds it. */
  readonly sizeBytesMax?: number;
  /** All sessions together may have so much waiting. Absent: WAITING_BYTES_MAX. */
  readonly waitingBytesMax?: number;
  /** Starts the Worker; absent: the one of this folder. */
  readonly startWriter?: StartWriter;
};

/** For the operator. */
const STALLED = `recordings have not been stored for ${STALL_SAID_MS / 1000} s, so what they must hold waits`;

type Answer<T> = { readonly resolve: (value: T) => void; readonly reject: (error: Error) => void };

export class KeptRecorder implements Recorder {
  readonly seals: boolean;
  readonly #options: RecorderOptions;
  readonly #waiting = new Waiting();
  readonly #live = new Map<string, LiveRecording>();
  /** Who waits for a recording to be begun, a key to be deleted, ... by what it is. */
  readonly #opening = new Map<string, Answer<SealFacts | null>>();
  readonly #shredding = new Map<string, Answer<boolean>>();
  readonly #pruning: Answer<number>[] = [];
  readonly #ending = new Map<string, PromiseWithResolvers<void>>();
  /** Events that the log has not taken, or lost. */
  readonly #owed: Owed[] = [];
  readonly #logging = new Set<Promise<void>>();
  #owedTimer: ReturnType<typeof setTimeout> | null = null;
  #link: RecordingsLink | null = null;
  #hasFailedBefore = false;
  #failedAtMs = Number.NEGATIVE_INFINITY;
  #failure: string | null = null;
  #isClosed = false;
  #stallTimer: ReturnType<typeof setTimeout> | null = null;
  #isStallSaid = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.seals = options.recipients.length > 0;
  }

  /** Ends what an earlier run left open. When the file cannot be used it says so, and whoever must be recorded is refused. */
  async start(): Promise<void> {
    if (!existsSync(join(this.#options.folder, RECORDINGS_FILE))) return;
    await this.#serving().catch(() => undefined);
  }

  /** Recordings of sessions that are open. */
  get openCount(): number {
    return this.#live.size;
  }

  /** Why nothing can be recorded; null while all is well. */
  get failure(): string | null {
    return this.#failure;
  }

  async open(
    session: Session,
    onFailure: (failure: RecordingFailed) => void,
    kind: RecordingKind,
    operation?: OperationId,
  ): Promise<SessionRecording> {
    const link = await this.#serving();
    const { clock, waitingBytesMax = WAITING_BYTES_MAX } = this.#options;
    const recording: NewRecording = {
      id: recordingId(),
      session: session.id,
      kind,
      issuer: session.identity.issuer,
      subject: session.identity.subject,
      target: session.target.name,
      startedMs: clock.now(),
    };
    const { id } = recording;
    const opened = Promise.withResolvers<SealFacts | null>();
    this.#opening.set(id, opened);
    link.order({ kind: "open", recording });
    const seal = await opened.promise;
    const of = operation === undefined ? {} : { operation };
    if (!this.#record({ what: "started", recording, seal, ...of })) {
      link.order({ kind: "end", recording: id, endedMs: clock.now(), reason: "failed" });
      throw new RecordingFailed("a recording cannot be begun while the log does not work");
    }
    const live = new LiveRecording({
      id,
      kind,
      isSealed: seal !== null,
      waiting: this.#waiting,
      waitingBytesMax,
      now: () => clock.now(),
      keep: (segment) => this.#keep(id, segment),
      ended: (reason) => {
        this.#link?.order({ kind: "end", recording: id, endedMs: clock.now(), reason });
      },
      onFailure,
    });
    this.#live.set(id, live);
    this.#ending.set(id, Promise.withResolvers());
    return live;
  }

  /** Deletes the key that auditors would need; the log must say so already. Answers whether there was one. */
  async shred(recording: string): Promise<boolean> {
    const link = await this.#serving();
    const shredded = Promise.withResolvers<boolean>();
    this.#shredding.set(recording, shredded);
    link.order({ kind: "shred", recording });
    return shredded.promise;
  }

  /** Deletes recordings that ended before an instant; answers how many. */
  async prune(beforeMs: number): Promise<number> {
    if (!existsSync(join(this.#options.folder, RECORDINGS_FILE))) return 0;
    const link = await this.#serving();
    const pruned = Promise.withResolvers<number>();
    this.#pruning.push(pruned);
    link.order({ kind: "prune", beforeMs });
    return pruned.promise;
  }

  /** Keeps what was written, ends what is open and closes the file; to be called before the log is closed. */
  async close(): Promise<void> {
    for (const live of this.#live.values()) live.end();
    await Promise.all([...this.#ending.values()].map(async ({ promise }) => promise));
    this.#payOwed();
    while (this.#logging.size > 0) await Promise.all(this.#logging);
    this.#isClosed = true;
    if (this.#owedTimer !== null) clearTimeout(this.#owedTimer);
    await this.#link?.close();
  }

  /* ---- the writer ---- */

  async #serving(): Promise<RecordingsLink> {
    if (this.#isClosed) throw new RecordingFailed("the gateway is shutting down");
    const { folder, recipients, sizeBytesMax, startWriter } = this.#options;
    if (this.#link === null) {
      if (performance.now() - this.#failedAtMs < RESTART_MS_MIN) throw notNow(this.#failure ?? "");
      const openBecause = this.#hasFailedBefore ? "failed" : "unclean";
      const settings: WriterSettings = {
        folder,
        recipients: [...recipients],
        openBecause,
        sizeBytesMax: sizeBytesMax ?? null,
      };
      const link: RecordingsLink = new RecordingsLink(
        settings,
        {
          onMessage: (message) => this.#hear(message),
          onStall: (isStalled) => {
            if (this.#link === link) this.#stall(isStalled);
          },
          onFailure: (reason) => {
            if (this.#link === link) this.#fail(reason);
          },
        },
        startWriter,
      );
      this.#link = link;
    }
    const link = this.#link;
    try {
      await link.serving();
    } catch (error) {
      throw notNow(messageOf(error));
    }
    return link;
  }

  #hear(message: WriterMessage): void {
    switch (message.kind) {
      case "serving":
        if (this.#failure !== null) this.#options.say("sessions can be recorded again");
        this.#failure = null;
        // What the log was offered already and has not said yes to is found here too: to be named twice is harmless.
        this.#owed.length = 0;
        for (const owed of message.owed) this.#record(owed, true);
        break;
      case "opened":
        this.#opening.get(message.recording)?.resolve(message.seal);
        this.#opening.delete(message.recording);
        break;
      case "refused":
        this.#opening.get(message.recording)?.reject(notNow(message.reason));
        this.#opening.delete(message.recording);
        break;
      case "stored":
        this.#stored(message.segment, message.waitedBytes);
        break;
      case "ended":
        this.#live.delete(message.ended.recording);
        this.#record({ what: "ended", ended: message.ended });
        this.#ending.get(message.ended.recording)?.resolve();
        this.#ending.delete(message.ended.recording);
        break;
      case "shredded":
        this.#shredding.get(message.recording)?.resolve(message.wasThere);
        this.#shredding.delete(message.recording);
        break;
      case "pruned":
        this.#pruning.shift()?.resolve(message.recordings);
        break;
      case "progress":
      case "failed":
      case "closed":
        break;
    }
  }

  #keep(recording: string, segment: FullSegment): void {
    const { stream, number, startedMs, data, length } = segment;
    this.#link?.order({ kind: "segment", recording, stream, number, startedMs, data, length }, [data.buffer]);
  }

  #stored(segment: StoredSegment, waitedBytes: number): void {
    const live = this.#live.get(segment.recording);
    if (!this.#record({ what: "segment", segment })) {
      live?.stop(new RecordingFailed("the recording of this session cannot go on while the log does not work"));
    }
    live?.stored(waitedBytes);
    // Room for one is room for all.
    for (const each of this.#live.values()) each.drain();
  }

  #stall(isStalled: boolean): void {
    for (const each of this.#live.values()) each.stall(isStalled);
    clearTimeout(this.#stallTimer ?? undefined);
    if (isStalled) {
      this.#stallTimer = setTimeout(() => {
        this.#isStallSaid = true;
        this.#options.say(STALLED);
      }, STALL_SAID_MS - STALL_MS_MAX);
      this.#stallTimer.unref();
    } else if (this.#isStallSaid) {
      this.#isStallSaid = false;
      this.#options.say("recordings are stored again");
    }
  }

  #fail(reason: string): void {
    this.#link = null;
    clearTimeout(this.#stallTimer ?? undefined);
    this.#isStallSaid = false;
    this.#failure = reason;
    this.#hasFailedBefore = true;
    this.#failedAtMs = performance.now();
    this.#options.say(`sessions cannot be recorded, so those that must be are refused or ended: ${reason}`);
    const error = notNow(reason);
    for (const answers of [this.#opening, this.#shredding]) {
      for (const { reject } of answers.values()) reject(error);
      answers.clear();
    }
    for (const { reject } of this.#pruning.splice(0)) reject(error);
    const live = [...this.#live.values()];
    this.#live.clear();
    for (const each of live) each.abandon(new RecordingFailed("the recording of this session cannot go on", reason));
    for (const { resolve } of this.#ending.values()) resolve();
    this.#ending.clear();
  }

  /* ---- the log ---- */

  /** Hands the event of something that is on the disk to the log. False: it is owed. */
  #record(owed: Owed, isRecovered = false): boolean {
    const { log } = this.#options;
    const recovered = isRecovered ? { recovered: true } : {};
    let sequence: Sequence;
    try {
      sequence = log.event(eventOf(owed), { ...factsOf(owed), ...recovered });
    } catch {
      this.#owe(owed);
      return false;
    }
    const logged = log.waitDurable(sequence).then(
      () => this.#link?.order({ kind: "logged", row: rowOf(owed) }),
      () => this.#owe(owed),
    );
    this.#logging.add(logged);
    void logged.finally(() => this.#logging.delete(logged));
    return true;
  }

  #owe(owed: Owed): void {
    this.#owed.push(owed);
    if (this.#isClosed || this.#owedTimer !== null) return;
    this.#owedTimer = setTimeout(() => {
      this.#owedTimer = null;
      this.#payOwed();
    }, OWED_MS);
    this.#owedTimer.unref();
  }

  #payOwed(): void {
    for (const owed of this.#owed.splice(0)) this.#record(owed, true);
  }
}

function notNow(reason: string): RecordingFailed {
  return new RecordingFailed("policy obliges to record this, and nothing can be recorded now", reason);
}

function eventOf({ what }: Owed): "recording.started" | "recording.segment" | "recording.ended" {
  return `recording.${what}`;
}

function factsOf(owed: Owed): Readonly<Record<string, string | number | boolean | readonly string[]>> {
  switch (owed.what) {
    case "started":
      return {
        ...startedFacts(owed.recording, owed.seal),
        ...(owed.operation === undefined ? {} : { operation: owed.operation }),
      };
    case "segment":
      return segmentFacts(owed.segment);
    case "ended":
      return endedFacts(owed.ended);
  }
}

function startedFacts(recording: NewRecording, seal: SealFacts | null): ReturnType<typeof factsOf> {
  const { id, session, issuer, subject, target, kind } = recording;
  const streams = seal === null ? ["clear"] : ["clear", "sealed"];
  const key = seal === null || seal.keySha256 === null ? {} : { keySha256: seal.keySha256 };
  return { recording: id, session, issuer, subject, target, kind, streams, sealed: seal !== null, ...key };
}

function segmentFacts({ recording, stream, number, sha256, bytes }: StoredSegment): ReturnType<typeof factsOf> {
  return { recording, stream, number, sha256, bytes, sealed: stream === "sealed" };
}

function endedFacts({ recording, session, segments, reason }: EndedRecording): ReturnType<typeof factsOf> {
  return { recording, session, segments, reason };
}

function rowOf(owed: Owed): LoggedRow {
  switch (owed.what) {
    case "started":
      return { what: "started", recording: owed.recording.id };
    case "segment": {
      const { recording, stream, number } = owed.segment;
      return { what: "segment", recording, stream, number };
    }
    case "ended":
      return { what: "ended", recording: owed.ended.recording };
  }
}

/** `R-` and 16 characters without look-alikes: nobody guesses one, and no two gateways make the same. */
function recordingId(): string {
  const alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
  return `R-${[...randomBytes(16)].map((byte) => alphabet[byte % alphabet.length]).join("")}`;
}
