/** The gateway's end of one writer of recordings: its Worker, what it was asked, and whether it still answers. */
import { Worker } from "node:worker_threads";
import { SilenceWatch } from "../core/silence-watch.ts";
import { SILENCE_MS_MAX, STALL_MS_MAX } from "./limits.ts";
import type { WriterMessage, WriterOrder, WriterSettings } from "./messages.ts";

const DIED = "the writer of recordings died";

export type StartWriter = (settings: WriterSettings) => Worker;

/** The Worker of this folder. */
function startWriter(settings: WriterSettings): Worker {
  // The form that src/release/workers.ts finds: in a compiled binary the writer lies beside the rest.
  return new Worker(new URL("./recordings-writer.ts", import.meta.url), { workerData: settings });
}

export class RecordingsLink {
  readonly #worker: Worker;
  readonly #onMessage: (message: WriterMessage) => void;
  readonly #onFailure: (reason: string) => void;
  readonly #served = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  /** Orders that were given and not dealt with. */
  #orders = 0;
  /** Words of the writer's. */
  #heard = 0;
  readonly #silence = new SilenceWatch({
    silenceMsMax: SILENCE_MS_MAX,
    done: () => this.#heard,
    given: () => (this.#orders > 0 ? this.#heard + 1 : this.#heard),
    onSilence: () => this.#fail(`the writer of recordings has not answered for ${SILENCE_MS_MAX / 1000} s`),
  });
  #stall: ReturnType<typeof setTimeout> | null = null;
  #isStalled = false;
  readonly #onStall: (isStalled: boolean) => void;
  #isOver = false;

  constructor(
    settings: WriterSettings,
    listener: {
      onMessage(message: WriterMessage): void;
      /** It has work and has said nothing for a while; or it has said something again. */
      onStall(isStalled: boolean): void;
      onFailure(reason: string): void;
    },
    start: StartWriter = startWriter,
  ) {
    this.#onMessage = (message) => listener.onMessage(message);
    this.#onFailure = (reason) => listener.onFailure(reason);
    this.#onStall = (isStalled) => listener.onStall(isStalled);
    // Whoever waits sees the rejection; nobody else needs to.
    for (const { promise } of [this.#served, this.#closed]) promise.catch(() => undefined);
    this.#worker = start(settings);
    this.#worker.on("message", (message: WriterMessage) => this.#hear(message));
    this.#worker.on("error", (error: Error) => this.#fail(`${DIED}: ${error.message}`));
    this.#worker.on("exit", () => this.#fail(DIED));
    this.#watch();
  }

  /** Resolves when it serves; rejects with the reason when it cannot. */
  async serving(): Promise<void> {
    await this.#served.promise;
  }

  order(order: WriterOrder, transfer: ArrayBuffer[] = []): void {
    if (this.#isOver) return;
    this.#worker.postMessage(order, transfer);
    this.#orders++;
    if (this.#orders === 1) this.#watch();
    this.#silence.watch();
  }

  /** Has it store what it was given, and end. Rejects when it fails before. */
  async close(): Promise<void> {
    this.order({ kind: "close" });
    await this.#closed.promise;
  }

  #hear(message: WriterMessage): void {
    if (this.#isOver) return;
    this.#heard++;
    if (message.kind === "failed") return this.#fail(message.reason);
    if (message.kind === "serving") this.#served.resolve();
    if (message.kind === "progress") this.#orders -= message.orders;
    this.#watch();
    this.#onMessage(message);
    if (this.#isStalled) {
      this.#isStalled = false;
      this.#onStall(false);
    }
    if (message.kind !== "closed") return;
    this.#isOver = true;
    this.#unwatch();
    this.#closed.resolve();
    void this.#worker.terminate();
  }

  /** Waits for the next word from now on, if there is anything to say. */
  #watch(): void {
    if (this.#stall !== null) clearTimeout(this.#stall);
    this.#stall = setTimeout(() => {
      if (this.#orders === 0 || this.#isStalled) return;
      this.#isStalled = true;
      this.#onStall(true);
    }, STALL_MS_MAX);
    this.#stall.unref();
  }

  #unwatch(): void {
    this.#silence.stop();
    if (this.#stall !== null) clearTimeout(this.#stall);
    this.#stall = null;
  }

  #fail(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unwatch();
    const error = new Error(reason);
    this.#served.reject(error);
    this.#closed.reject(error);
    void this.#worker.terminate();
    this.#onFailure(reason);
  }
}
