/** What is masked in one database of a target: worked out for each session, and once for all sessions that it is the same for. */
import { createHash } from "node:crypto";
import { UNKNOWN, type Access } from "../../../src/core/operation.ts";
import type { AccessMask, Door } from "../../../src/core/ports.ts";
import type { Session } from "../../../src/core/session.ts";
import type { Catalog } from "../catalog.ts";
import { MASKS_SCHEMA } from "../masking-settings.ts";
import type { MaskFacts } from "./facts.ts";
import { makePlan, type PlanSettings } from "./make-plan.ts";
import type { PreparedState } from "./prepared-state.ts";
import { CatalogMoved, NO_MASKS, type Masks, type WholeCatalog } from "./session-masking.ts";
import { type MaskQuestions, maskQuestions, policyMasks } from "./subject-masks.ts";

/** Different sets of masks that are remembered; they differ by subject only where policy says so. */
const KNOWN_MAX = 100;

export type TargetMasksParts = {
  readonly door: Pick<Door, "masks" | "maskTransforms" | "mayCompare">;
  readonly database: string;
  readonly settings: PlanSettings;
  /** What the server's catalog says now. Rejects when it cannot be read. */
  facts(): Promise<MaskFacts>;
  /** Of a guarded target. */
  readonly prepared: PreparedState | null;
};

export class TargetMasks {
  readonly #parts: TargetMasksParts;
  readonly #anything: Access;
  readonly #known = new Map<string, Masks | Promise<Masks>>();

  constructor(parts: TargetMasksParts) {
    this.#parts = parts;
    this.#anything = {
      class: "read",
      facts: {
        databases: [parts.database],
        verbs: UNKNOWN,
        relations: UNKNOWN,
        columns: UNKNOWN,
        unfiltered: UNKNOWN,
      },
    };
  }

  /** Could policy mask anything for this session, whatever the database holds? */
  couldMask(session: Session): boolean {
    return this.#parts.door.masks(session, [this.#anything])[0] !== null;
  }

  /** What is masked for a session under this catalog. A promise where it takes the server's word; rejects when that cannot be had. */
  of(session: Session, catalog: WholeCatalog): Masks | Promise<Masks> {
    if (!this.couldMask(session)) return NO_MASKS;
    const { door, database } = this.#parts;
    const questions = maskQuestions(catalog, database);
    const answers = door.masks(session, questions.accesses);
    const key = keyOf(catalog, answers);
    if (key === null) return NO_MASKS;
    const { prepared } = this.#parts;
    if (prepared === null) return this.#known.get(key) ?? this.#make(key, questions, answers, catalog, null);
    return this.#ofPrepared(prepared, session, catalog, key, questions, answers);
  }

  /** Asked anew each time, though not the server: what was prepared can be undone. */
  async #ofPrepared(
    prepared: PreparedState,
    { target }: Session,
    catalog: WholeCatalog,
    key: string,
    questions: MaskQuestions,
    answers: readonly (AccessMask | null)[],
  ): Promise<Masks> {
    const facts = await this.#parts.facts();
    if (facts.catalogDigest !== catalog.digest) throw new CatalogMoved();
    const { door } = this.#parts;
    const possible = {
      transforms: door.maskTransforms(target, questions.accesses),
      comparisons: door.mayCompare(target, questions.accesses),
    };
    const notServed = await prepared.whyNotServed(facts, catalog, possible);
    const whole = `${key} ${notServed ?? ""}`;
    return this.#known.get(whole) ?? this.#make(whole, questions, answers, catalog, notServed);
  }

  #make(
    key: string,
    questions: MaskQuestions,
    answers: readonly (AccessMask | null)[],
    catalog: Catalog,
    notServed: string | null,
  ): Promise<Masks> {
    const made = this.#work(questions, answers, catalog, notServed);
    this.#remember(key, made);
    made.then(
      (masks) => this.#remember(key, masks),
      () => this.#known.delete(key),
    );
    return made;
  }

  async #work(
    questions: MaskQuestions,
    answers: readonly (AccessMask | null)[],
    catalog: Catalog,
    notServed: string | null,
  ): Promise<Masks> {
    const facts = await this.#parts.facts();
    if (facts.catalogDigest !== catalog.digest) throw new CatalogMoved();
    const isPrepared = (name: string): boolean => catalog.functionSchemas(name).includes(MASKS_SCHEMA);
    const columns = new Map<string, AccessMask>();
    for (const [at, mask] of answers.entries()) {
      const name = questions.accesses[at]?.facts["columns"];
      if (mask !== null && typeof name === "object" && name[0] !== undefined) columns.set(name[0], mask);
    }
    return {
      columns,
      plan: makePlan(facts, policyMasks(questions, answers), this.#parts.settings, notServed, isPrepared),
    };
  }

  #remember(key: string, masks: Masks | Promise<Masks>): void {
    if (!this.#known.has(key) && this.#known.size >= KNOWN_MAX) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    this.#known.set(key, masks);
  }
}

/** Equal for equal masks of the same catalog; null: nothing is masked. */
function keyOf(catalog: Catalog, answers: readonly (AccessMask | null)[]): string | null {
  const hash = createHash("sha256").update(catalog.digest);
  let isAny = false;
  for (const [at, mask] of answers.entries()) {
    if (mask === null) continue;
    isAny = true;
    hash.update(`\n${at} ${JSON.stringify(mask)}`);
  }
  return isAny ? hash.digest("hex") : null;
}
