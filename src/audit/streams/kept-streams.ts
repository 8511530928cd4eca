/** The streams of a gateway's log while it runs: recorded when one fails or drops entries, and how far each is behind. */
import { Worker } from "node:worker_threads";
import { endWorker } from "../../core/end-worker.ts";
import type { EventKind, Sequence } from "../../core/ports.ts";
import { LogReader } from "../query.ts";
import { STREAM_NAMES, type StreamName, type StreamPlaces, type StreamsNews, type StreamsOrder } from "./messages.ts";
import type { StreamSource } from "./sender.ts";
import type { StreamState } from "./stream.ts";

/** How long the last entries may take when the gateway ends. */
const END_MS_MAX = 5000;

const DROPS_SAID_MS = 60_000;

/** How a stream stands. `behind` null: it has not begun yet. */
export type StreamLag = {
  readonly stream: StreamName;
  /** Without secrets. */
  readonly where: string;
  readonly behind: number | null;
  readonly dropped: number;
  readonly failure: string | null;
};

export type KeptStreamsParts = {
  /** The data folder. */
  readonly folder: string;
  readonly places: StreamPlaces;
  readonly source: StreamSource;
  /** Told what people should know: one line each. */
  readonly say: (line: string) => void;
};

type Log = { event(kind: EventKind, facts: Readonly<Record<string, string | number>>): Sequence };

export class KeptStreams {
  readonly #parts: KeptStreamsParts;
  readonly #states = new Map<StreamName, StreamState>();
  readonly #unsaid = new Map<StreamName, { readonly count: number; readonly saidMs: number }>();
  #worker: Worker | null = null;
  #log: Log | null = null;
  readonly #ended = Promise.withResolvers<void>();

  constructor(parts: KeptStreamsParts) {
    this.#parts = parts;
  }

  /** Begins, if there is anywhere to stream to, with what comes from now on where a stream is new. The log must be open. */
  async start(log: Log): Promise<void> {
    const { folder, places, source, say } = this.#parts;
    if (places.syslog === null && places.otlp === null) return;
    this.#log = log;
    // Asked here: the Worker may be slow to begin, and entries come meanwhile.
    const begin = await this.#size();
    const worker = new Worker(new URL("./streams-worker.ts", import.meta.url));
    worker.on("message", (news: StreamsNews) => {
      if (news.kind === "state") this.#heard(news.name, news.state);
      else this.#ended.resolve();
    });
    worker.on("error", (error: Error) => say(`the streams of the log have ended: ${error.message}`));
    worker.once("exit", () => this.#ended.resolve());
    this.#worker = worker;
    const order: StreamsOrder = { kind: "start", folder, places, source, begin };
    worker.postMessage(order);
  }

  async lags(): Promise<readonly StreamLag[]> {
    if (this.#worker === null) return [];
    const entries = await this.#size();
    return STREAM_NAMES.flatMap((stream): StreamLag[] => {
      const where = this.#where(stream);
      if (where === null) return [];
      const state = this.#states.get(stream);
      const behind = state === undefined ? null : Math.max(0, entries - state.next);
      return [{ stream, where, behind, dropped: state?.dropped ?? 0, failure: state?.failure ?? null }];
    });
  }

  /** Lets the streams take the last entries, for some seconds at most. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    this.#log = null;
    const order: StreamsOrder = { kind: "end" };
    worker.postMessage(order);
    await endWorker(worker, this.#ended.promise, END_MS_MAX);
  }

  /** How many entries the log has. */
  async #size(): Promise<number> {
    const log = LogReader.open(this.#parts.folder);
    try {
      return await log.size();
    } finally {
      log.close();
    }
  }

  #where(stream: StreamName): string | null {
    const { syslog, otlp } = this.#parts.places;
    if (stream === "syslog") return syslog === null ? null : `${syslog.host}:${syslog.port}`;
    // A URL may carry credentials; where it leads is enough.
    return otlp === null ? null : new URL(otlp.url).host;
  }

  #heard(stream: StreamName, state: StreamState): void {
    const before = this.#states.get(stream);
    this.#states.set(stream, state);
    const { reason, unsaid } = this.#drops(stream, state.dropped - (before?.dropped ?? 0));
    const hasFailed = state.failure !== null && (before?.failure ?? null) === null;
    if (hasFailed || unsaid > 0) {
      const why = state.failure ?? reason;
      const lost = unsaid > 0 ? `; ${unsaid} entries were dropped` : "";
      this.#parts.say(`the stream of the log to ${stream}: ${why}${lost}`);
      this.#record("stream.failed", { stream, reason: why, dropped: unsaid });
    } else if (state.failure === null && (before?.failure ?? null) !== null) {
      this.#parts.say(`the stream of the log to ${stream} works again`);
      this.#record("stream.recovered", { stream });
    }
  }

  /** Drops are told once in a while: the entry that tells of one is streamed too, and may be dropped in its turn. */
  #drops(stream: StreamName, dropped: number): { readonly reason: string; readonly unsaid: number } {
    const known = this.#unsaid.get(stream) ?? { count: 0, saidMs: Number.NEGATIVE_INFINITY };
    const count = known.count + dropped;
    const now = performance.now();
    const isDue = count > 0 && now - known.saidMs >= DROPS_SAID_MS;
    this.#unsaid.set(stream, isDue ? { count: 0, saidMs: now } : { count, saidMs: known.saidMs });
    return { reason: "it did not take entries, or they were pruned or too old", unsaid: isDue ? count : 0 };
  }

  #record(kind: "stream.failed" | "stream.recovered", facts: Readonly<Record<string, string | number>>): void {
    try {
      this.#log?.event(kind, facts);
    } catch {
      // The log has failed: it says so itself.
    }
  }
}
