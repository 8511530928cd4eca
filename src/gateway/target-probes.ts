/** Whether targets can be reached and logged in to: asked when somebody wants to know, and remembered for a moment. */
import type { TargetStatus } from "../api/house.ts";
import { messageOf } from "../core/message-of.ts";
import type { Door } from "../core/ports.ts";
import type { Target } from "../core/target.ts";
import { adapterOf, type GatewayParts } from "./parts.ts";
import { withinTime } from "./within-time.ts";

/** How long a target's answer is taken for the present. */
const PROBE_AGE_MS_MAX = 10_000;
/** Below the 10 s after which the local socket's server gives up on a silent answer. */
const PROBE_TIME_MS_MAX = 8_000;

export class TargetProbes {
  readonly #parts: GatewayParts;
  readonly #door: Door;
  readonly #last = new Map<string, { readonly atMs: number; readonly problem: Promise<string | null> }>();

  constructor(parts: GatewayParts, door: Door) {
    this.#parts = parts;
    this.#door = door;
  }

  /** Every target, each with what is wrong with it; null: nothing. */
  async all(): Promise<readonly TargetStatus[]> {
    return Promise.all(
      this.#parts.config.targets.map(async (target) => {
        const { name, adapter } = target;
        return { name, adapter, problem: await this.#problemOf(target) };
      }),
    );
  }

  /** Tells the operator which targets cannot be used yet. */
  async sayProblems(): Promise<void> {
    for (const { name, problem } of await this.all()) {
      if (problem !== null) this.#parts.say(`the target ${name} cannot be used yet: ${problem}`);
    }
  }

  async #problemOf(target: Target): Promise<string | null> {
    const last = this.#last.get(target.name);
    if (last !== undefined && performance.now() - last.atMs < PROBE_AGE_MS_MAX) return last.problem;
    const problem = this.#probe(target);
    this.#last.set(target.name, { atMs: performance.now(), problem });
    return problem;
  }

  async #probe(target: Target): Promise<string | null> {
    const adapter = adapterOf(this.#parts, target.adapter);
    if (adapter === undefined) return `there is no adapter for ${target.adapter}`;
    const answer = adapter.probe(this.#door, target);
    return withinTime(answer, PROBE_TIME_MS_MAX, "it did not answer in time").catch(messageOf);
  }
}
