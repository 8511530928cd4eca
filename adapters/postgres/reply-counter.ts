/** What an operation under limits shows its client: counted as it passes, and nothing more of it once it was cut. */
import type { Entry } from "./expected.ts";
import { BACKEND } from "./protocol/types.ts";
import type { ReplyHandler } from "./reply-handler.ts";
import type { Run } from "./run.ts";

/** What the client does not get of an operation that was cut; of a request, nothing but what belongs to no statement. */
const DROPPED = new Set<number>([
  BACKEND.dataRow,
  BACKEND.copyData,
  BACKEND.copyDone,
  BACKEND.functionCallResponse,
  BACKEND.notice,
  BACKEND.portalSuspended,
  BACKEND.emptyQuery,
]);
const DROPPED_OF_QUERY = new Set<number>([...DROPPED, BACKEND.rowDescription]);

export class ReplyCounter {
  readonly #spend: ReplyHandler["spend"];
  /** Rows of the statement at work that were counted as they passed. */
  #rows = 0;

  /** As ReplyHandler.spend(). */
  constructor(spend: ReplyHandler["spend"]) {
    this.#spend = spend;
  }

  /** Counts a message of an operation under limits that passes by its header. False: the client does not get it. */
  mayPass(type: number, run: Run, head: Entry | undefined, bytes: number): boolean {
    if (run.isCut) return !(head?.kind === "query" ? DROPPED_OF_QUERY : DROPPED).has(type);
    if (!run.isCounted) return true;
    switch (type) {
      case BACKEND.dataRow:
      case BACKEND.copyData:
      case BACKEND.functionCallResponse:
        if (!this.#spend(run, 1, bytes)) return false;
        this.#rows++;
        return true;
      case BACKEND.notice:
        return this.#spend(run, 0, bytes);
      default:
        return true;
    }
  }

  /** The statement at work is complete: `rows` were changed or returned, and what was not returned counts as well. */
  completed(run: Run, rows: number): void {
    const uncounted = rows - this.#rows;
    this.#rows = 0;
    if (uncounted > 0 && run.isCounted && !run.isCut) this.#spend(run, uncounted, 0);
  }

  /** Another statement is at work, or none. */
  restart(): void {
    this.#rows = 0;
  }
}
