/** Whether a guarded database is as it was prepared: found out when somebody needs to know, and remembered for a while. */
import type { MaskTransform } from "../../../src/core/obligation.ts";
import type { Clock } from "../../../src/core/ports.ts";
import { expectedIn, type GuardedSettings, type PossibleMasks } from "../prepare/expected.ts";
import type { Query } from "../prepare/rights.ts";
import { whyNotServed } from "../prepare/self-check.ts";
import type { MaskFacts } from "./facts.ts";
import type { ListedCatalog } from "./subject-masks.ts";

/** Some rights change without a trace in the catalogs that are watched (memberships of roles), so no answer is good for ever. */
const ANSWER_MS_MAX = 30_000;
/** Whoever has just prepared a database does not wait long; and who logs in again and again does not keep it busy. */
const REFUSAL_MS_MAX = 2_000;

export type PreparedStateParts = {
  readonly target: string;
  readonly database: string;
  readonly settings: GuardedSettings;
  readonly clock: Clock;
  /** Another number whenever something was written to the catalog, rights among it. */
  generation(): number;
  /** Tells the operator. */
  report(line: string): void;
  /** Does some work on a connection of the gateway's own. Rejects when there is none. */
  ask<T>(work: (query: Query) => Promise<T>): Promise<T>;
};

/** Of PossibleMasks, to the questions about one catalog. */
export type PossibleAnswers = {
  readonly transforms: readonly (readonly MaskTransform[])[];
  readonly comparisons: readonly boolean[];
};

type Answer = {
  readonly digest: string;
  readonly atMs: number;
  goodForMs: number;
  readonly because: Promise<string | null>;
};

export class PreparedState {
  readonly #parts: PreparedStateParts;
  #answer: Answer | null = null;
  /** What the operator was told last; null: that all is well, or nothing yet. */
  #told: string | null = null;

  constructor(parts: PreparedStateParts) {
    this.#parts = parts;
  }

  /**
   * Null when masked relations may be served; else why not, as a sentence for people. `possible` answers the questions
   * about this catalog: what policy could mask for anybody. Rejects when the server cannot be asked.
   */
  whyNotServed(
    facts: MaskFacts,
    catalog: ListedCatalog,
    { transforms, comparisons }: PossibleAnswers,
  ): Promise<string | null> {
    const { database, settings, clock } = this.#parts;
    const masked = transforms.flatMap((each, at) => (each.length === 0 ? [] : [[at, each]]));
    const compared = comparisons.flatMap((isCompared, at) => (isCompared ? [at] : []));
    const digest = `${this.#parts.generation()} ${facts.catalogDigest} ${JSON.stringify([masked, compared])}`;
    const known = this.#answer;
    const nowMs = clock.now();
    if (known !== null && known.digest === digest && nowMs >= known.atMs && nowMs - known.atMs < known.goodForMs) {
      return known.because;
    }
    const possible: PossibleMasks = { transforms: () => transforms, comparisons: () => comparisons };
    const expected = expectedIn(facts, catalog, database, possible, settings);
    const because = this.#parts.ask((query) => whyNotServed(query, expected));
    const answer: Answer = { digest, atMs: nowMs, goodForMs: ANSWER_MS_MAX, because };
    this.#answer = answer;
    because.then(
      (reason) => {
        this.#tell(reason);
        if (reason !== null) answer.goodForMs = REFUSAL_MS_MAX;
      },
      () => {
        if (this.#answer === answer) this.#answer = null;
      },
    );
    return because;
  }

  /** Once for each change. */
  #tell(reason: string | null): void {
    if (reason === this.#told) return;
    this.#told = reason;
    const { target, database } = this.#parts;
    const where = `the target ${target}, database ${database}`;
    const what =
      reason === null
        ? "what is masked is served again"
        : `nothing that is masked is served: ${reason}. weir targets check ${target} says what to do`;
    this.#parts.report(`${where}: ${what}`);
  }
}
