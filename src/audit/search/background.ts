/** The gateway's end of the Worker that keeps the search index up to date. Nothing waits for it, and nothing depends on it. */
import { Worker } from "node:worker_threads";
import { endWorker } from "../../core/end-worker.ts";
import { messageOf } from "../../core/message-of.ts";
import type { SearchWorkerMessage } from "./search-worker.ts";

/** What a stop waits for: the end of the step that it is at. */
const STOP_MS_MAX = 5000;

export class BackgroundIndexer {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;

  /** `say`: one line for the operator when the index cannot be kept. */
  constructor(folder: string, say: (line: string) => void) {
    // The form that src/release/workers.ts finds: in a compiled binary the Worker lies beside the rest.
    this.#worker = new Worker(new URL("./search-worker.ts", import.meta.url), { workerData: { folder } });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    const failed = (reason: string): void => say(`the search index cannot be kept up to date: ${reason}`);
    this.#worker.on("message", (message: SearchWorkerMessage) => {
      if (message.kind === "failed") failed(message.reason);
    });
    this.#worker.on("error", (error) => failed(messageOf(error)));
    this.#worker.unref();
  }

  /** Ends it after its step; what it was at is taken up by the next run. */
  async stop(): Promise<void> {
    this.#worker.postMessage("stop");
    await endWorker(this.#worker, this.#exited, STOP_MS_MAX);
  }
}
