/** When the log is to be signed: some seconds after it has grown, and now and then while nothing happens, so that silence is provable. */

export type SigningTimesOptions = {
  /** From the first record after a checkpoint to the next checkpoint. */
  readonly checkpointMs: number;
  /** From the last checkpoint to a heartbeat, when nothing was recorded in between. */
  readonly heartbeatMs: number;
  /** Has the writer do it; does not throw. */
  ask(what: "checkpoint" | "heartbeat"): void;
};

export class SigningTimes {
  readonly #options: SigningTimesOptions;
  #checkpoint: Timer | null = null;
  #heartbeat: Timer | null = null;

  constructor(options: SigningTimesOptions) {
    this.#options = options;
    this.#awaitSilence();
  }

  /** To be called with every record. */
  handed(): void {
    if (this.#checkpoint !== null) return;
    this.#checkpoint = setTimeout(() => {
      this.#checkpoint = null;
      this.#options.ask("checkpoint");
      this.#awaitSilence();
    }, this.#options.checkpointMs);
    this.#checkpoint.unref();
  }

  stop(): void {
    for (const timer of [this.#checkpoint, this.#heartbeat]) if (timer !== null) clearTimeout(timer);
  }

  #awaitSilence(): void {
    if (this.#heartbeat !== null) clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => {
      // When a checkpoint is due there was no silence, and the next wait begins with it.
      if (this.#checkpoint !== null) return;
      this.#options.ask("heartbeat");
      this.#awaitSilence();
    }, this.#options.heartbeatMs);
    this.#heartbeat.unref();
  }
}
