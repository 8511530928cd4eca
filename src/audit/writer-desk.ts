/** What the log's writer says besides how far it is: checkpoints, for all who listen, and answers, for those who asked. */
import type { Pruned, RotatedKey, SignedCheckpoint } from "./messages.ts";
import type { WriterNews } from "./writer-link.ts";

/** Those who wait for what the writer answers in the order in which it was asked. */
class Askers<T> {
  #waiting: PromiseWithResolvers<T>[] = [];

  async wait(): Promise<T> {
    const asker = Promise.withResolvers<T>();
    this.#waiting.push(asker);
    return asker.promise;
  }

  answer(value: T): void {
    this.#waiting.shift()?.resolve(value);
  }

  fail(error: Error): void {
    for (const asker of this.#waiting) asker.reject(error);
    this.#waiting = [];
  }
}

export class WriterDesk {
  #checkpoint: SignedCheckpoint | null = null;
  readonly #listeners = new Set<(checkpoint: SignedCheckpoint) => void>();
  readonly #rotations = new Askers<RotatedKey>();
  readonly #prunings = new Askers<Pruned>();

  /** The newest; null before the log was opened. */
  get checkpoint(): SignedCheckpoint | null {
    return this.#checkpoint;
  }

  /** Calls back with every checkpoint, and at once with the newest. Returns how to stop that. */
  onCheckpoint(callback: (checkpoint: SignedCheckpoint) => void): () => void {
    this.#listeners.add(callback);
    if (this.#checkpoint !== null) callback(this.#checkpoint);
    return () => this.#listeners.delete(callback);
  }

  /** To be called right after the writer was asked; rejects when it fails before it answers. */
  async rotated(): Promise<RotatedKey> {
    return this.#rotations.wait();
  }

  /** The same for a pruning. */
  async pruned(): Promise<Pruned> {
    return this.#prunings.wait();
  }

  heard(news: WriterNews): void {
    if (news.kind === "rotated") this.#rotations.answer({ oldKey: news.oldKey, newKey: news.newKey });
    else if (news.kind === "pruned") {
      this.#prunings.answer({ first: news.first, to: news.to, entries: news.entries });
    } else this.signed(news);
  }

  signed({ size, note }: SignedCheckpoint): void {
    this.#checkpoint = { size, note };
    for (const listener of this.#listeners) listener(this.#checkpoint);
  }

  /** What was asked of a writer that is gone is not answered any more. */
  forsake(error: Error): void {
    this.#rotations.fail(error);
    this.#prunings.fail(error);
  }
}
