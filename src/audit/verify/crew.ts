/** The threads of a verification: each has at most one order at a time, results come in the order of the orders. */
import { Worker } from "node:worker_threads";
import type { LogSource } from "./source.ts";
import { work, type WorkOrder, type WorkResult } from "./work.ts";

/** More threads would wait for the disk, and for the one that joins what they found. */
const THREADS_MAX = 8;

type Member = { readonly worker: Worker; answer: ((result: WorkResult) => void) | null };

export class Crew {
  readonly #source: LogSource;
  readonly #members: Member[] = [];
  readonly #idle: Member[] = [];
  readonly #waiting: ((member: Member) => void)[] = [];

  /** `threads` below 2: the work is done in this thread. */
  constructor(source: LogSource, threads: number) {
    this.#source = source;
    if (threads < 2) return;
    for (let i = 0; i < Math.min(threads, THREADS_MAX); i++) this.#members.push(this.#hire());
    this.#idle.push(...this.#members);
  }

  /** Does each order and hands its result on, in order; at most a few results wait at a time. Throws when one fails. */
  async *all(orders: Iterable<WorkOrder>): AsyncGenerator<WorkResult> {
    const ahead: Promise<WorkResult>[] = [];
    const depth = Math.max(1, this.#members.length * 2);
    try {
      for (const order of orders) {
        ahead.push(this.#do(order));
        if (ahead.length >= depth) yield* this.#next(ahead);
      }
      while (ahead.length > 0) yield* this.#next(ahead);
    } finally {
      await Promise.allSettled(ahead);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(async ({ worker }) => worker.terminate()));
  }

  async *#next(ahead: Promise<WorkResult>[]): AsyncGenerator<WorkResult> {
    const result = await ahead.shift();
    if (result?.kind === "failed") throw new Error(result.reason);
    if (result !== undefined) yield result;
  }

  async #do(order: WorkOrder): Promise<WorkResult> {
    if (this.#members.length === 0) return work(this.#source, order);
    const member = this.#idle.pop() ?? (await new Promise<Member>((resolve) => this.#waiting.push(resolve)));
    const result = await new Promise<WorkResult>((resolve) => {
      member.answer = resolve;
      member.worker.postMessage({ place: this.#source.place, order });
    });
    member.answer = null;
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(member);
    else next(member);
    return result;
  }

  #hire(): Member {
    const worker = new Worker(new URL("./verify-worker.ts", import.meta.url));
    const member: Member = { worker, answer: null };
    worker.on("message", (result: WorkResult) => member.answer?.(result));
    worker.on("error", (error: Error) => member.answer?.({ kind: "failed", reason: error.message }));
    return member;
  }
}
