/** The copies of a gateway's log: kept while it runs, recorded when one fails, and how far each is behind. */
import type { EventKind, Sequence } from "../../core/ports.ts";
import { UNTIL_ACCEPTED } from "../new-origin.ts";
import { LogReader } from "../query.ts";
import type { ShipPlaces } from "./messages.ts";
import { Shipper } from "./shipper.ts";

/** How a copy stands. */
export type CopyLag = {
  readonly destination: "libsql" | "s3";
  /** Without secrets. */
  readonly where: string;
  /** How many entries it lacks, and the age of the oldest of them; null: it has not answered yet. */
  readonly lagEntries: number | null;
  readonly lagSeconds: number | null;
  /** Null while it is kept. */
  readonly failure: string | null;
  /** What cannot be copied there at all; null: everything can. */
  readonly caveat: string | null;
};

export type KeptCopiesParts = {
  /** The data folder. */
  readonly folder: string;
  readonly places: ShipPlaces;
  /** Told what people should know: one line each. */
  readonly say: (line: string) => void;
};

type Log = { event(kind: EventKind, facts: Readonly<Record<string, string>>): Sequence };

export class KeptCopies {
  readonly #parts: KeptCopiesParts;
  #shipper: Shipper | null = null;

  constructor(parts: KeptCopiesParts) {
    this.#parts = parts;
  }

  /** Begins, if there is anywhere to copy to. The log must be open. */
  start(log: Log): void {
    const { folder, places, say } = this.#parts;
    if (places.libsql === null && places.s3 === null) return;
    const record = (kind: "ship.failed" | "ship.recovered", facts: Readonly<Record<string, string>>): void => {
      try {
        log.event(kind, facts);
      } catch {
        // The log has failed: it says so itself.
      }
    };
    this.#shipper = new Shipper({
      folder,
      places,
      onFailed: (destination, reason) => {
        say(`the copy of the log on ${destination} is not kept: ${reason}`);
        record("ship.failed", { destination, reason });
      },
      onRecovered: (destination) => {
        say(`the copy of the log on ${destination} is kept again`);
        record("ship.recovered", { destination });
      },
    });
  }

  /** Why no new work may be done now: a copy has seen what the log does not have, as it would have said at the start. Null: it may. */
  get hold(): string | null {
    for (const { where, fork } of this.#shipper?.states ?? [])
      if (fork !== null) return `${where}: ${fork}; ${UNTIL_ACCEPTED}`;
    return null;
  }

  /** `now` in milliseconds. */
  async lags(now: number): Promise<readonly CopyLag[]> {
    if (this.#shipper === null) return [];
    const { states } = this.#shipper;
    const log = LogReader.open(this.#parts.folder);
    try {
      const entries = await log.size();
      return await Promise.all(
        states.map(async ({ destination, where, size, failure, caveat }) => {
          const [oldest] = size === null ? [] : await log.entries([size]);
          const ageMs = oldest === undefined ? 0 : Math.max(0, now - oldest.leaf.timeMs);
          const lagEntries = size === null ? null : Math.max(0, entries - size);
          return { destination, where, lagEntries, lagSeconds: size === null ? null : ageMs / 1000, failure, caveat };
        }),
      );
    } finally {
      log.close();
    }
  }

  /** Lets the copies take the last entries, for some seconds at most. After the log is closed it has no more. */
  async stop(): Promise<void> {
    await this.#shipper?.stop();
  }
}
