/** The gateway's end of the shipper: starts its Worker, starts it again when it dies, and knows how each copy stands. */
import { Worker } from "node:worker_threads";
import { endWorker } from "../../core/end-worker.ts";
import { messageOf } from "../../core/message-of.ts";
import { LibsqlConnection } from "./libsql-connection.ts";
import type { CopyState, ShipperMessage, ShipPlaces, ShipSettings } from "./messages.ts";
import { S3Bucket } from "./s3-bucket.ts";

/** How long the copies get to take the last entries when the gateway ends. */
const FINISH_MS_MAX = 5000;
/** A Worker that died is started again after so long: it dies of what the next one would die of too. */
const RESTART_MS = 10_000;

export type ShipperParts = {
  readonly folder: string;
  readonly places: ShipPlaces;
  /** A copy has failed (the first time in a series), or works again. */
  readonly onFailed: (destination: CopyState["destination"], reason: string) => void;
  readonly onRecovered: (destination: CopyState["destination"]) => void;
  /** Starts the Worker; absent: the one of this folder. */
  readonly startWorker?: (settings: ShipSettings) => Worker;
};

/** The Worker of this folder. */
function startWorker(settings: ShipSettings): Worker {
  // The form that src/release/workers.ts finds: in a compiled binary the Worker lies beside the rest.
  return new Worker(new URL("./ship-worker.ts", import.meta.url), { workerData: settings });
}

export class Shipper {
  readonly #parts: ShipperParts;
  readonly #states = new Map<CopyState["destination"], CopyState>();
  #worker: Worker;
  #restart: Timer | null = null;
  #isDead = false;
  #stopped: Promise<void> | null = null;

  /** The log of the folder must be open. */
  constructor(parts: ShipperParts) {
    this.#parts = parts;
    const unknown = { size: null, failure: null, fork: null, caveat: null };
    const { libsql, s3 } = parts.places;
    if (libsql !== null) {
      this.#states.set("libsql", { ...unknown, destination: "libsql", where: new LibsqlConnection(libsql).where });
    }
    if (s3 !== null) this.#states.set("s3", { ...unknown, destination: "s3", where: new S3Bucket(s3).where });
    this.#worker = this.#start();
  }

  /** How each copy stands, as last heard. */
  get states(): readonly CopyState[] {
    return [...this.#states.values()];
  }

  /** Lets the copies take what they lack, for some seconds at most, and ends. */
  async stop(): Promise<void> {
    await (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#isDead) return;
    const worker = this.#worker;
    const ended = Promise.withResolvers<void>();
    worker.once("exit", () => ended.resolve());
    worker.on("message", (message: ShipperMessage) => {
      if (message.kind === "finished") ended.resolve();
    });
    worker.postMessage("finish");
    await endWorker(worker, ended.promise, FINISH_MS_MAX);
  }

  #start(): Worker {
    const { folder, places, startWorker: start = startWorker } = this.#parts;
    const worker = start({ folder, places });
    this.#isDead = false;
    worker.on("message", (message: ShipperMessage) => this.#heard(message));
    worker.on("error", (error) => this.#died(worker, messageOf(error)));
    worker.on("exit", () => this.#died(worker, "it ended"));
    return worker;
  }

  #heard(message: ShipperMessage): void {
    if (message.kind === "state") {
      this.#states.set(message.state.destination, message.state);
    } else if (this.#stopped === null) {
      // What comes while the gateway ends can no longer be recorded.
      if (message.kind === "failed") this.#parts.onFailed(message.destination, message.reason);
      if (message.kind === "recovered") this.#parts.onRecovered(message.destination);
    }
  }

  #died(worker: Worker, reason: string): void {
    if (this.#worker !== worker || this.#isDead || this.#stopped !== null) return;
    this.#isDead = true;
    for (const [destination, state] of this.#states) {
      const failure = `the shipper has died: ${reason}`;
      if (state.failure === null) this.#parts.onFailed(destination, failure);
      this.#states.set(destination, { ...state, failure });
    }
    this.#restart = setTimeout(() => {
      this.#worker = this.#start();
    }, RESTART_MS);
    this.#restart.unref();
  }
}
