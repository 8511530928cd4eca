/** The gateway as a log with witnesses: every checkpoint goes to each of them, and what they sign is kept. */
import type { Clock } from "../core/ports.ts";
import { UNTIL_ACCEPTED } from "./new-origin.ts";
import { addSignatures } from "./note.ts";
import type { EventFacts } from "./pieces.ts";
import { messageOf } from "../core/message-of.ts";
import type { WitnessClient } from "./witness-client.ts";

const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 60_000;
/** How long the end of the gateway waits for cosignatures of its last checkpoint. */
const LAST_MS_MAX = 5000;
/** Checkpoints remembered while no witness signs; the oldest tells the lag. */
const WAITING_MAX = 1000;
/** Sizes for which signatures of several witnesses are put together. */
const NOTES_MAX = 16;

/** Takes a note that a witness has signed. */
type Keep = (size: number, note: string, timeSeconds: number) => void;

type SignedCheckpoint = { readonly size: number; readonly note: string };

export type CosigningParts = {
  readonly witnesses: readonly WitnessClient[];
  /** New work is refused while the log is further ahead of its witnesses than this; null: never. */
  readonly lagMsMax: number | null;
  readonly log: {
    onCheckpoint(callback: (checkpoint: SignedCheckpoint) => void): () => void;
    keepCosigned(size: number, note: string): void;
    event(kind: "witness.failed" | "witness.recovered", facts: EventFacts): unknown;
  };
  readonly tree: {
    /** RFC 9162, 2.1.4. */
    consistencyProof(from: number, to: number): readonly Uint8Array[];
    checkpoints(fromSize: number): readonly { readonly size: number; readonly timeMs: number }[];
    latestCosigned(): { readonly size: number; readonly timeMs: number; readonly note: string } | null;
  };
  readonly clock: Clock;
  say(line: string): void;
};

export type WitnessStatus = {
  readonly name: string;
  readonly url: string;
  /** What it has cosigned in this run; null: nothing yet. */
  readonly cosigned: { readonly size: number; readonly timeMs: number } | null;
  /** Null: the last attempt worked. */
  readonly problem: string | null;
};

export type CosigningStatus = {
  readonly witnesses: readonly WitnessStatus[];
  /** The newest checkpoint that at least one witness has signed, of all runs. */
  readonly cosigned: { readonly size: number; readonly timeMs: number } | null;
  /** Since when there is something in the log that no witness has signed; 0: they have seen all that was signed. */
  readonly lagMs: number;
};

export class Cosigning {
  readonly #parts: CosigningParts;
  readonly #lines: readonly WitnessLine[];
  readonly #notes = new Map<number, string>();
  /** Checkpoints that no witness has signed, the oldest first; the time is monotonic. */
  #waiting: { readonly size: number; readonly monoMs: number }[] = [];
  #cosigned: CosigningStatus["cosigned"] = null;
  readonly #stopListening: () => void;

  constructor(parts: CosigningParts) {
    this.#parts = parts;
    const { witnesses, log, tree, clock } = parts;
    const last = tree.latestCosigned();
    if (last !== null) {
      this.#cosigned = { size: last.size, timeMs: last.timeMs };
      this.#notes.set(last.size, last.note);
    }
    // What an earlier run has signed and no witness has seen counts from then on.
    const [oldest] = tree.checkpoints((last?.size ?? 0) + 1);
    if (oldest !== undefined) {
      const ageMs = Math.max(0, clock.now() - oldest.timeMs);
      this.#waiting.push({ size: oldest.size, monoMs: performance.now() - ageMs });
    }
    this.#lines = witnesses.map(
      (witness) =>
        new WitnessLine(witness, parts, (size, note, timeSeconds) => this.#keep(witness, size, note, timeSeconds)),
    );
    this.#stopListening = log.onCheckpoint((checkpoint) => this.#signed(checkpoint));
  }

  get status(): CosigningStatus {
    return { witnesses: this.#lines.map((line) => line.status), cosigned: this.#cosigned, lagMs: this.lagMs };
  }

  get lagMs(): number {
    const [oldest] = this.#waiting;
    return oldest === undefined ? 0 : performance.now() - oldest.monoMs;
  }

  /**
   * Why no new work may be done now; null: it may. What a witness has seen that the log does not have counts at once,
   * whatever the lag may be, as it would have at the start.
   */
  get hold(): string | null {
    for (const { setBack } of this.#lines) if (setBack !== null) return `${setBack}; ${UNTIL_ACCEPTED}`;
    const { lagMsMax } = this.#parts;
    if (lagMsMax === null) return null;
    const { lagMs } = this;
    if (lagMs <= lagMsMax) return null;
    return `no witness has confirmed the log for ${Math.floor(lagMs / 1000)} s, and at most ${lagMsMax / 1000} s are allowed`;
  }

  /** To be called when the log is closed: waits some seconds for its last checkpoint to be cosigned, and ends. */
  async stop(): Promise<void> {
    this.#stopListening();
    await Promise.all(this.#lines.map(async (line) => line.stop()));
  }

  #signed(checkpoint: SignedCheckpoint): void {
    const newest = Math.max(this.#waiting.at(-1)?.size ?? 0, this.#cosigned?.size ?? 0);
    if (checkpoint.size > newest && this.#waiting.length < WAITING_MAX) {
      this.#waiting.push({ size: checkpoint.size, monoMs: performance.now() });
    }
    for (const line of this.#lines) line.offer(checkpoint);
  }

  #keep(witness: WitnessClient, size: number, note: string, timeSeconds: number): void {
    const before = this.#notes.get(size);
    const own = witness.verifier.name;
    const lines = note.split("\n").filter((line) => line.startsWith(`— ${own} `));
    const all =
      before === undefined
        ? note
        : addSignatures(
            before,
            lines.map((line) => `${line}\n`),
          );
    this.#notes.delete(size);
    this.#notes.set(size, all);
    for (const old of this.#notes.keys()) {
      if (this.#notes.size <= NOTES_MAX) break;
      this.#notes.delete(old);
    }
    this.#waiting = this.#waiting.filter((each) => each.size > size);
    if (size >= (this.#cosigned?.size ?? 0)) this.#cosigned = { size, timeMs: timeSeconds * 1000 };
    try {
      this.#parts.log.keepCosigned(size, all);
    } catch {
      // The log has failed or is closed; the witness remembers, which is what counts.
    }
  }
}

/** One witness: at most one request at a time, always for the newest checkpoint. */
class WitnessLine {
  readonly #witness: WitnessClient;
  readonly #parts: CosigningParts;
  readonly #keep: Keep;
  readonly #ended = new AbortController();
  #newest: SignedCheckpoint | null = null;
  /** What the witness has cosigned, as far as is known; null: it has to be asked. */
  #seenSize: number | null = null;
  #cosigned: WitnessStatus["cosigned"] = null;
  #problem: string | null = null;
  #setBack: string | null = null;
  #retryMs = RETRY_MS_MIN;
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;
  #isStopping = false;

  constructor(witness: WitnessClient, parts: CosigningParts, keep: Keep) {
    this.#witness = witness;
    this.#parts = parts;
    this.#keep = keep;
  }

  get status(): WitnessStatus {
    const { name, url } = this.#witness;
    return { name, url, cosigned: this.#cosigned, problem: this.#problem };
  }

  /** What it has seen that does not go with the log; null: nothing, or it has cosigned the log since. */
  get setBack(): string | null {
    return this.#setBack;
  }

  offer(checkpoint: SignedCheckpoint): void {
    if (this.#newest !== null && checkpoint.size < this.#newest.size) return;
    this.#newest = checkpoint;
    if (this.#timer === null) this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const late = setTimeout(() => this.#ended.abort(), LAST_MS_MAX);
    // What is under way goes on to the newest checkpoint; a witness that was not there the last time is not asked again.
    while (this.#running !== null) await this.#running;
    clearTimeout(late);
    this.#ended.abort();
  }

  get #isDone(): boolean {
    return this.#newest === null || this.#newest.size <= (this.#cosigned?.size ?? -1);
  }

  #run(): void {
    if (this.#running !== null || this.#ended.signal.aborted) return;
    this.#running = this.#work().finally(() => {
      this.#running = null;
    });
  }

  async #work(): Promise<void> {
    try {
      while (!this.#isDone && this.#newest !== null) await this.#ask(this.#newest);
      this.#retryMs = RETRY_MS_MIN;
      this.#worked();
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#failed(messageOf(error), error instanceof SetBack);
      if (this.#isStopping) return;
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#run();
      }, this.#retryMs);
      this.#timer.unref();
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    }
  }

  /** One request; returns when it is worth to go on at once. */
  async #ask({ size, note }: SignedCheckpoint): Promise<void> {
    const { tree } = this.#parts;
    const oldSize = this.#seenSize ?? 0;
    if (oldSize > size) {
      // Anybody may have shown it a newer checkpoint than this one, as long as the log has signed one.
      if (tree.checkpoints(oldSize).length > 0)
        throw new Error(`it has cosigned a newer checkpoint than that of ${size}`);
      throw new SetBack(`it has cosigned ${oldSize} entries of this log, which has ${size}: ${TWO_LOGS}`);
    }
    const proof = tree.consistencyProof(oldSize, size);
    const reply = await this.#witness.ask({ oldSize, proof, note }, this.#ended.signal);
    if (reply.kind === "conflict") {
      const reason = `it has seen another log: ${reply.message}; ${TWO_LOGS}`;
      // Where it has seen nothing, it has nothing that could contradict.
      throw oldSize === 0 ? new Error(reason) : new SetBack(reason);
    }
    if (reply.kind === "size") {
      if (reply.size === this.#seenSize) {
        if (reply.size === size) throw new SetBack(`it has seen another log of ${size} entries; ${TWO_LOGS}`);
        throw new Error("it takes no checkpoint that follows the one it says it has");
      }
      this.#seenSize = reply.size;
      return;
    }
    this.#seenSize = size;
    this.#cosigned = { size, timeMs: reply.timeSeconds * 1000 };
    this.#keep(size, reply.note, reply.timeSeconds);
  }

  #failed(reason: string, isSetBack: boolean): void {
    const { name, url } = this.#witness;
    // That the log was set back is said also where the witness could not be reached before.
    const isNews = this.#problem === null || (isSetBack && this.#setBack === null);
    this.#problem = reason;
    // It stays so when the witness cannot be reached any more.
    if (isSetBack) this.#setBack = `the witness ${name} does not cosign the log: ${reason}`;
    // Whatever it had: it is asked again.
    this.#seenSize = null;
    if (!isNews) return;
    this.#parts.say(`the witness ${name} does not cosign the log: ${reason}${isSetBack ? `; ${UNTIL_ACCEPTED}` : ""}`);
    this.#record("witness.failed", { witness: name, url, reason });
  }

  #worked(): void {
    if (this.#problem === null) return;
    this.#problem = null;
    this.#setBack = null;
    this.#parts.say(`the witness ${this.#witness.name} cosigns the log again`);
    this.#record("witness.recovered", { witness: this.#witness.name, url: this.#witness.url });
  }

  #record(kind: "witness.failed" | "witness.recovered", facts: EventFacts): void {
    try {
      this.#parts.log.event(kind, facts);
    } catch {
      // The log has failed, and says so itself.
    }
  }
}

/** What a witness has seen of the log does not go with what there is. */
class SetBack extends Error {}

const TWO_LOGS = "another gateway writes under the same name and key, or the data folder was set back";
