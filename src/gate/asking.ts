/** A question to people that an operation waits for: answered in time, or given up. */
import { refusal, type Refusal } from "../core/decision.ts";
import type { OperationId } from "../core/operation.ts";
import type { Asked } from "./refusals.ts";

/** How long people are waited for where policy does not say (`within` of an approval). */
const ASKED_MS_DEFAULT = 900_000;
/** No timer runs for longer (2^31 - 1 ms). */
const ASKED_MS_MAX = 2_147_483_647;

export class Asking {
  readonly #controller = new AbortController();
  readonly #givenUp = Promise.withResolvers<Refusal>();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(operation: OperationId, asked: Asked) {
    const withinMs = withinOf(asked);
    this.#timer = setTimeout(() => this.giveUp(expired(operation, withinMs, asked)), withinMs);
    this.#timer.unref();
  }

  /** Aborts when nobody waits for an answer any more. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Resolves with why, when it is given up. */
  get givenUp(): Promise<Refusal> {
    return this.#givenUp.promise;
  }

  giveUp(why: Refusal): void {
    this.#givenUp.resolve(why);
    this.end();
  }

  /** An answer is there, or none is wanted. */
  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

/** The longest that one of the approvals may be asked for. */
function withinOf({ requirements }: Asked): number {
  const times = requirements.map((each) => (each.kind === "approval" ? each.withinMs : ASKED_MS_DEFAULT));
  return Math.min(Math.max(...times), ASKED_MS_MAX);
}

function expired(event: OperationId, withinMs: number, { rules }: Asked): Refusal {
  return refusal("approval_expired", `nobody has approved this within ${Math.round(withinMs / 1000)} s`, {
    event,
    rules,
    hint: "Ask the people who may approve it, and try again.",
  });
}
