/** What the gate keeps for one operation under limits while it runs: its rows, its bytes, its time, its meters. */
import { refusal, type Refusal, type RuleId } from "../core/decision.ts";
import type { LimitObligation, Meter } from "../core/obligation.ts";
import type { OperationId } from "../core/operation.ts";
import type { Spending } from "../core/ports.ts";

/** The longest time a timer of the runtime can wait; what is longer ends then. */
const TIMER_MS_MAX = 2_147_483_647;

export class Keeping {
  readonly #operation: OperationId;
  readonly #limit: LimitObligation;
  readonly #rules: readonly RuleId[];
  readonly #spending: Spending | null;
  #rows = 0;
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #stop: ((reason: Refusal) => void) | null = null;

  /** `rules` are those that the limits come from, `spending` what its meters said. */
  constructor(operation: OperationId, limit: LimitObligation, rules: readonly RuleId[], spending: Spending | null) {
    this.#operation = operation;
    this.#limit = limit;
    this.#rules = rules;
    this.#spending = spending;
  }

  /** The operation starts: its time counts from now. */
  begin(stop: (reason: Refusal) => void): void {
    this.#stop = stop;
    this.restart();
  }

  /** Its time counts from now again. */
  restart(): void {
    const { timeMs } = this.#limit;
    const stop = this.#stop;
    if (timeMs === undefined || stop === null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => stop(this.#refusal(`policy lets this run for at most ${timeMs} ms`)),
      Math.min(timeMs, TIMER_MS_MAX),
    );
  }

  /** All or nothing; a refusal when a limit or a budget would be passed. */
  spend(rows: number, bytes: number): Refusal | null {
    const { rows: rowsMax, bytes: bytesMax } = this.#limit;
    if (rowsMax !== undefined && this.#rows + rows > rowsMax) {
      return this.#refusal(`policy lets this return or change at most ${rowsMax} rows`);
    }
    if (bytesMax !== undefined && this.#bytes + bytes > bytesMax) {
      return this.#refusal(`policy lets this move at most ${bytesMax} bytes`);
    }
    const no = this.#spending?.add(rows, bytes) ?? null;
    if (no !== null) return { ...no, event: this.#operation };
    this.#rows += rows;
    this.#bytes += bytes;
    return null;
  }

  /** The operation has ended. */
  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#stop = null;
    this.#spending?.end();
  }

  #refusal(message: string): Refusal {
    return refusal("limit", message, {
      rules: this.#rules,
      event: this.#operation,
      hint: "Ask for less, or ask whoever keeps the policy.",
    });
  }
}

/** The meters of policy and of the adapter together; most operations have neither. */
export function metersOf(
  policys: readonly Meter[] | undefined,
  adapters: readonly Meter[] | undefined,
): readonly Meter[] | undefined {
  if (policys === undefined || adapters === undefined) return policys ?? adapters;
  return [...policys, ...adapters];
}
