/** The order of one channel's requests: none is sent before an earlier one, and none resolved before what could change its path. */

/** A request that waits for its turn. */
export interface Turn {
  /**
   * new: nothing was done. preparing: its paths are being resolved. prepared: it may be submitted. submitted: policy has
   * it. ready: it may go. A request under an open handle is ready at once.
   */
  readonly step: "new" | "preparing" | "prepared" | "submitted" | "ready";
  /** It may change what paths lead to. */
  readonly changesNames: boolean;
  /** Content that it holds. */
  readonly heldBytes: number;
  prepare(): void;
  submit(): void;
  /** Its turn has come: it is sent, or answered. */
  go(): void;
}

export class Turns {
  readonly #waiting: Turn[] = [];
  /** Sent and not answered. */
  readonly #changing = new Set<Turn>();
  /** How many of those that wait are not ready from the beginning. */
  #unready = 0;
  #heldBytes = 0;
  #isAdvancing = false;
  readonly #mayGo: () => boolean;

  /** `mayGo`: is there room for another request at the target? */
  constructor(mayGo: () => boolean) {
    this.#mayGo = mayGo;
  }

  get length(): number {
    return this.#waiting.length;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  add(turn: Turn): void {
    this.#waiting.push(turn);
    this.#heldBytes += turn.heldBytes;
    if (turn.step !== "ready") this.#unready++;
  }

  /** It has been answered: what comes after it may be resolved. */
  settle(turn: Turn): void {
    this.#changing.delete(turn);
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting.length = 0;
    this.#changing.clear();
    this.#unready = 0;
    this.#heldBytes = 0;
  }

  /** Does what can be done now; to be called after anything has happened. Calls from inside it change nothing. */
  advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    try {
      do this.#send();
      while (this.#unready > 0 && this.#prepare());
    } finally {
      this.#isAdvancing = false;
    }
  }

  #send(): void {
    while (this.#waiting[0]?.step === "ready" && this.#mayGo()) {
      const turn = this.#waiting.shift();
      if (turn === undefined) return;
      this.#heldBytes -= turn.heldBytes;
      if (turn.changesNames) this.#changing.add(turn);
      turn.go();
    }
    if (this.#waiting.length === 0) this.#unready = 0;
  }

  /** True when the first one may have become ready by it. */
  #prepare(): boolean {
    let mayResolve = this.#changing.size === 0;
    let maySubmit = true;
    for (const turn of this.#waiting) {
      if (turn.step === "new" && mayResolve) turn.prepare();
      if (turn.step === "prepared" && maySubmit) turn.submit();
      if (turn.changesNames) mayResolve = false;
      if (turn.step === "new" || turn.step === "preparing" || turn.step === "prepared") maySubmit = false;
      if (!mayResolve && !maySubmit) break;
    }
    return this.#waiting[0]?.step === "ready" && this.#mayGo();
  }
}
