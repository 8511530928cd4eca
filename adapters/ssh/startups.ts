/** How many clients may be on their way to a login, as OpenSSH's MaxStartups 10:30:100 and PerSourceMaxStartups count them. */

export type StartupLimits = {
  /** From so many on, some are refused. */
  readonly begin: number;
  /** How many of them at first, in percent; the share grows until `max`, where all are. */
  readonly ratePercent: number;
  readonly max: number;
  readonly perSourceMax: number;
};

const STARTUP_LIMITS: StartupLimits = {
  begin: 10,
  ratePercent: 30,
  max: 100,
  perSourceMax: 50,
};

export class Startups {
  readonly #limits: StartupLimits;
  readonly #random: () => number;
  readonly #perSource = new Map<string, number>();
  #count = 0;

  constructor(limits: StartupLimits = STARTUP_LIMITS, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** True: it may try to log in, and counts until leave(). */
  enter(source: string): boolean {
    const here = this.#perSource.get(source) ?? 0;
    if (here >= this.#limits.perSourceMax || this.#isDropped(here)) return false;
    this.#perSource.set(source, here + 1);
    this.#count++;
    return true;
  }

  /** It is logged in, or gone. */
  leave(source: string): void {
    this.#count--;
    const here = (this.#perSource.get(source) ?? 1) - 1;
    if (here === 0) this.#perSource.delete(source);
    else this.#perSource.set(source, here);
  }

  /**
   * Random early drop: whoever floods the listener does not shut everybody else out. Dropped are those from whose
   * address others are on their way already; one address alone never comes to the maximum.
   */
  #isDropped(here: number): boolean {
    const { begin, ratePercent, max } = this.#limits;
    if (this.#count >= max) return true;
    if (this.#count < begin || here === 0) return false;
    const percent = ratePercent + ((100 - ratePercent) * (this.#count - begin)) / (max - begin);
    return this.#random() * 100 < percent;
  }
}
