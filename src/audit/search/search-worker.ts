/**
 * The Worker that keeps the search index up to date beside a running gateway: at the lowest priority, in small steps, on
 * connections of its own. A binary must be built with this file as a further entry point (see background.ts).
 */
import { readlinkSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import * as v from "valibot";
import { pause } from "../pause.ts";
import { messageOf } from "../../core/message-of.ts";
import { Indexer } from "./indexer.ts";

/** How often the log is looked at for something new. */
const POLL_MS = 250;
/** After each step the Worker rests as long as the step took: it takes at most half of one processor. */
const REST_SHARE = 1;
const RETRY_MS = 30_000;

const settingsSchema = v.object({ folder: v.string() });
const orderSchema = v.literal("stop");

/** What the Worker says: it has failed, and tries again. */
export type SearchWorkerMessage = { readonly kind: "failed"; readonly reason: string };

function say(message: SearchWorkerMessage): void {
  parentPort?.postMessage(message);
}

/** This thread alone gives way to all others, where the system lets a thread have a priority of its own. */
function giveWay(): void {
  try {
    const [thread] = readlinkSync("/proc/thread-self").split("/").slice(-1);
    if (thread !== undefined) setPriority(Number(thread), constants.priority.PRIORITY_LOW);
  } catch {
    // Elsewhere its rests have to do.
  }
}

class SearchWorker {
  readonly #folder: string;
  readonly #stopping = new AbortController();
  #hasFailed = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  stop(): void {
    this.#stopping.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let indexer: Indexer | null = null;
      try {
        // After a failure anything may be wrong with the file.
        indexer = Indexer.open(this.#folder, { isThorough: true });
        if (indexer === null) await pause(POLL_MS, this.#stopping.signal);
        else await this.#follow(indexer);
      } catch (error) {
        if (!this.#hasFailed) say({ kind: "failed", reason: messageOf(error) });
        this.#hasFailed = true;
        await pause(RETRY_MS, this.#stopping.signal);
      } finally {
        indexer?.close();
      }
    }
  }

  async #follow(indexer: Indexer): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const started = performance.now();
      const { size } = indexer;
      const taken = indexer.step();
      this.#hasFailed = false;
      if (taken > 0) await pause((performance.now() - started) * REST_SHARE, this.#stopping.signal);
      // What has come meanwhile waits for its like: a step costs the same for one entry as for hundreds.
      if (indexer.indexed < size || indexer.stepStatements()) continue;
      await pause(POLL_MS, this.#stopping.signal);
    }
  }
}

giveWay();
const worker = new SearchWorker(v.parse(settingsSchema, workerData).folder);
parentPort?.on("message", (message: unknown) => {
  if (v.is(orderSchema, message)) worker.stop();
});
await worker.run();
parentPort?.close();
