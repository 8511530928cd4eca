/** The gateway's end of one writer: its Worker, the ring to it, and what it has been sent. */
import { Worker } from "node:worker_threads";
import type { WriterMessage, WriterSettings } from "./messages.ts";
import { messageOf } from "../core/message-of.ts";
import { RecordWriter } from "./record-writer.ts";
import {
  CONGESTED_BYTES,
  ORDER_ABANDON,
  ORDER_CLOSE,
  RingProducer,
  SharedRing,
  STATE_CLOSED,
  STATE_SERVING,
} from "./ring.ts";
import { Templates } from "./templates.ts";

export type Serving = Extract<WriterMessage, { kind: "serving" }>;
/** What the writer has done besides recording. */
export type WriterNews = Extract<WriterMessage, { kind: "checkpoint" | "rotated" | "pruned" }>;
export type StartWriter = (settings: WriterSettings) => Worker;

/** The Worker of this folder. */
function startWriter(settings: WriterSettings): Worker {
  // The form that src/release/workers.ts finds: in a compiled binary the writer lies beside the rest.
  return new Worker(new URL("./writer.ts", import.meta.url), { workerData: settings });
}

export class WriterLink {
  readonly ring = SharedRing.create();
  readonly records: RecordWriter;
  readonly templates: Templates;
  /** Resolves when the Worker has ended, however it did. */
  readonly exited: Promise<void>;
  readonly #producer: RingProducer;
  readonly #worker: Worker;

  constructor(settings: Omit<WriterSettings, "buffer">, start: StartWriter = startWriter) {
    this.ring.setDurable(settings.after?.handedOver ?? 0);
    this.#worker = start({ ...settings, buffer: this.ring.buffer });
    this.exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#producer = new RingProducer(this.ring);
    this.records = new RecordWriter(this.#producer);
    this.templates = new Templates(this.records);
  }

  get isServing(): boolean {
    return this.ring.state === STATE_SERVING;
  }

  /** It has written all that was handed over, and closed the log. */
  get isClosed(): boolean {
    return this.ring.state === STATE_CLOSED;
  }

  /** More than half of the ring waits for the writer. */
  get isCongested(): boolean {
    return this.#producer.usedBytes > CONGESTED_BYTES;
  }

  /** Resolves with what the writer says when it serves; rejects with the reason when it cannot. */
  async started(): Promise<Serving> {
    const worker = this.#worker;
    const served = Promise.withResolvers<Serving>();
    const onMessage = (message: WriterMessage): void => {
      if (message.kind === "serving") served.resolve(message);
      else if (message.kind === "failed") served.reject(new Error(message.reason));
    };
    const onExit = (): void => served.reject(new Error("the log's writer died"));
    // Stays: what a writer that could not start says later must not end the gateway.
    worker.on("error", (error) => served.reject(new Error(`the log's writer died: ${messageOf(error)}`)));
    worker.on("message", onMessage);
    worker.on("exit", onExit);
    try {
      return await served.promise;
    } finally {
      worker.off("message", onMessage);
      worker.off("exit", onExit);
    }
  }

  /** Calls back whenever more is durable, for each other thing that the writer says, and when it fails. */
  listen(on: { progress(): void; news(message: WriterNews): void; failure(reason: string): void }): void {
    this.#worker.on("message", (message: WriterMessage) => {
      if (message.kind === "progress") {
        this.ring.takeNotice();
        on.progress();
      } else if (message.kind === "failed") on.failure(message.reason);
      else if (message.kind !== "serving" && message.kind !== "closed") on.news(message);
    });
    this.#worker.on("error", (error) => on.failure(`the log's writer died: ${messageOf(error)}`));
    this.#worker.on("exit", () => on.failure("the log's writer died"));
  }

  /** Has it write what was handed over, close the log and end. */
  close(): void {
    this.ring.order = ORDER_CLOSE;
    this.ring.wake();
  }

  /** Has it write nothing more and end. */
  abandon(): void {
    this.ring.order = ORDER_ABANDON;
    this.ring.wake();
  }
}
