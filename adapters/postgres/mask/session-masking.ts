/** What a session's masks are, for as long as it lives: its plan, and whether policy and catalog still say the same. */
import type { MaskObligation, MaskTransform } from "../../../src/core/obligation.ts";
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import type { AccessMask, Permit } from "../../../src/core/ports.ts";
import type { Analysis } from "../analysis.ts";
import type { Catalog } from "../catalog.ts";
import type { MaskingPlan } from "./plan.ts";
import type { ListedCatalog } from "./subject-masks.ts";

/** What is masked for a session under one policy and one catalog. */
export type Masks = {
  /** By the full names of columns, `schema.relation.column`, as policy says it; what derives from them is in the plan alone. */
  readonly columns: ReadonlyMap<string, AccessMask>;
  /** Null: nothing is masked. */
  readonly plan: MaskingPlan | null;
};
export const NO_MASKS: Masks = { columns: new Map(), plan: null };

/** What was asked for is of the past: the catalog is another one by now, and is to be asked about. */
export class CatalogMoved extends Error {
  constructor() {
    super("the catalog has changed while it was read");
  }
}

export type WholeCatalog = Catalog & ListedCatalog;

/** What is masked for one session under the policy that is active now. */
export type MaskSource = {
  /** Could anything be, whatever the catalog says? */
  couldMask(): boolean;
  /** The catalog with all that was committed before the call. Rejects when it cannot be loaded. */
  loadCatalog(): Promise<WholeCatalog>;
  /** A promise where it takes the server's word; rejects with CatalogMoved, or when it cannot be had. */
  masksOf(catalog: WholeCatalog): Masks | Promise<Masks>;
};

export class SessionMasking {
  readonly #masks: Masks;
  readonly #source: MaskSource;
  /** The catalog under which the plan was last found to hold. */
  #checkedFor: WholeCatalog | null;
  #policyChanges = 0;
  /** Under which of these the plan was last found to hold. */
  #checkedAt = 0;

  /** `catalog`: the one that `masks` were worked out for. */
  constructor(source: MaskSource, masks: Masks, catalog: WholeCatalog | null) {
    this.#source = source;
    this.#masks = masks;
    this.#checkedFor = catalog;
  }

  /** Null: the session is not governed. */
  get plan(): MaskingPlan | null {
    return this.#masks.plan;
  }

  /** Policy has changed: whatever was found out before is to be looked at again. */
  policyChanged(): void {
    this.#checkedFor = null;
    this.#policyChanges++;
  }

  /**
   * Is the same masked under this catalog? Null: yes. Without a catalog nothing can be read, so there is nothing to
   * mask; but what runs already when policy changes was perhaps read by another catalog, or by none. The promise rejects
   * when it cannot be found out. When it says yes, ask again: catalog or policy may have moved on.
   */
  check(catalog: WholeCatalog | null): false | null | Promise<boolean> {
    if (this.#checkedAt !== this.#policyChanges) return this.#checkPolicy();
    if (catalog === null || catalog === this.#checkedFor) return null;
    try {
      const masks = this.#source.masksOf(catalog);
      if (masks instanceof Promise) return this.#compare(catalog, masks, this.#policyChanges);
      return this.#isSame(catalog, masks, this.#policyChanges) ? null : false;
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Under another policy: what it masks may have been made a moment ago, past the gateway. */
  #checkPolicy(): false | null | Promise<boolean> {
    if (this.#source.couldMask()) return this.#checkLoaded();
    return this.#isSame(null, NO_MASKS, this.#policyChanges) ? null : false;
  }

  async #checkLoaded(): Promise<boolean> {
    const changes = this.#policyChanges;
    const catalog = await this.#source.loadCatalog();
    return this.#compare(catalog, this.#source.masksOf(catalog), changes);
  }

  async #compare(catalog: WholeCatalog, masks: Masks | Promise<Masks>, changes: number): Promise<boolean> {
    try {
      return this.#isSame(catalog, await masks, changes);
    } catch (error) {
      if (error instanceof CatalogMoved) return true;
      throw error;
    }
  }

  /** `changes`: of policy, when it was asked. */
  #isSame(catalog: WholeCatalog | null, { plan }: Masks, changes: number): boolean {
    if (plan?.digest !== this.plan?.digest) return false;
    if (changes === this.#policyChanges) {
      this.#checkedFor = catalog;
      this.#checkedAt = changes;
    }
    return true;
  }

  /** Why a governed session may not do it; what masking knows nothing of is not done. */
  refusalOf({ masking, understood, notUnderstood }: Analysis): Refusal | null {
    if (this.plan === null) return null;
    if (masking === null) {
      return refusal("not_understood", `columns are masked here, and ${notUnderstood ?? "this cannot be read"}`, {
        hint: "Write it so that every name and function in it can be looked up, or ask for access without masks.",
      });
    }
    const { refusal: no } = masking;
    return no === null ? null : refusal(understood ? "denied" : "not_understood", no.message, { hint: no.hint });
  }

  /** Why what was permitted cannot be masked as its permit says: policy has changed a moment ago. Null: it can be. */
  whyNot({ obligations, rules, operation }: Permit): Refusal | null {
    const { mask } = obligations;
    if (mask === undefined || this.covers(mask)) return null;
    return refusal("denied", "what is masked for this session has changed", {
      rules,
      event: operation,
      hint: "Connect again: the new session gets the masks of now.",
    });
  }

  /** Is each column that a decision masks masked in the plan, and no less? Rows have no fields that could be masked. */
  covers(mask: MaskObligation): boolean {
    if (Object.keys(mask.fields).length > 0) return false;
    return Object.entries(mask.columns).every(([name, wanted]) => {
      const planned = this.#masks.columns.get(name);
      return planned !== undefined && isAtLeast(planned.transform, wanted);
    });
  }
}

/** Does `mask` show no more than `wanted`? */
function isAtLeast(mask: MaskTransform, wanted: MaskTransform): boolean {
  if (mask.with === "redact" || mask.with === "null") return true;
  if (mask.with === "partial" && wanted.with === "partial") {
    return mask.keepFirst <= wanted.keepFirst && mask.keepLast <= wanted.keepLast;
  }
  return mask.with === "hash" && wanted.with === "hash";
}
