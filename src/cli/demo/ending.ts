/** How the demo is told to end. */
import { CommandError } from "../command.ts";

/** Ends the demo in order at the first signal, and at once at the second. */
export class Ending {
  readonly #first = Promise.withResolvers<void>();
  readonly told: Promise<void> = this.#first.promise;
  #isTold = false;

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => this.#take());
  }

  throwIfTold(): void {
    if (this.#isTold) throw new CommandError("the demo was interrupted before it was up");
  }

  #take(): void {
    if (this.#isTold) process.exit(1);
    this.#isTold = true;
    this.#first.resolve();
  }
}
