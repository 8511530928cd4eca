/** Whether a session's masks still hold: under the same catalog, another one, another policy. */
import { expect, test } from "bun:test";
import type { MaskTransform } from "../../../src/core/obligation.ts";
import type { MaskingPlan } from "./plan.ts";
import {
  CatalogMoved,
  type MaskSource,
  NO_MASKS,
  SessionMasking,
  type Masks,
  type WholeCatalog,
} from "./session-masking.ts";

// Only the identity of a catalog is looked at.
const catalogs = [{}, {}] as unknown as [WholeCatalog, WholeCatalog];
const [first, second] = catalogs;

function masks(digest: string, columns: Record<string, MaskTransform> = {}): Masks {
  const plan = { digest } as MaskingPlan;
  return {
    plan,
    columns: new Map(Object.entries(columns).map(([name, transform]) => [name, { transform, predicates: "masked" }])),
  };
}

/** Where the policy of now could mask something, and the first catalog is what the server has. */
function source(masksOf: MaskSource["masksOf"], others: Partial<MaskSource> = {}): MaskSource {
  return { couldMask: () => true, loadCatalog: async () => first, masksOf, ...others };
}

test("under the same catalog nothing is asked", () => {
  const masking = new SessionMasking(
    source(() => expect.unreachable()),
    masks("a"),
    first,
  );
  expect(masking.check(first)).toBeNull();
  expect(masking.check(null)).toBeNull();
});

test("under another catalog the plan must be the same", async () => {
  let now: Masks | Promise<Masks> = masks("a");
  const masking = new SessionMasking(
    source(() => now),
    masks("a"),
    first,
  );
  expect(masking.check(second)).toBeNull();
  now = NO_MASKS;
  expect(masking.check(first)).toBe(false);
  now = Promise.resolve(masks("a"));
  expect(await masking.check(first)).toBe(true);
  now = Promise.resolve(masks("b"));
  expect(await masking.check(second)).toBe(false);
  expect(masking.check(first)).toBeNull();
});

test("a session without masks stays so, or ends", () => {
  let now = NO_MASKS;
  const masking = new SessionMasking(
    source(() => now),
    NO_MASKS,
    first,
  );
  expect(masking.check(second)).toBeNull();
  now = masks("a");
  expect(masking.check(first)).toBe(false);
});

test("after a change of policy it is asked again, of the catalog as it is then", async () => {
  const asked: WholeCatalog[] = [];
  const masksOf = (catalog: WholeCatalog): Masks => {
    asked.push(catalog);
    return masks("a");
  };
  const masking = new SessionMasking(source(masksOf, { loadCatalog: async () => second }), masks("a"), first);
  masking.policyChanged();
  expect(await masking.check(first)).toBe(true);
  expect(masking.check(second)).toBeNull();
  expect(asked).toEqual([second]);
});

test("after a change of policy it is not enough that no catalog is known", async () => {
  const unloaded = source(() => masks("a"), { loadCatalog: () => Promise.reject(new Error("gone")) });
  const masking = new SessionMasking(unloaded, NO_MASKS, null);
  expect(masking.check(null)).toBeNull();
  masking.policyChanged();
  await expect(masking.check(null)).rejects.toThrow("gone");
  const loaded = new SessionMasking(
    source(() => masks("a")),
    NO_MASKS,
    null,
  );
  loaded.policyChanged();
  expect(await loaded.check(null)).toBe(false);
});

test("a policy that could mask nothing needs no catalog", () => {
  const nothing = source(() => expect.unreachable(), {
    couldMask: () => false,
    loadCatalog: () => expect.unreachable(),
  });
  const masking = new SessionMasking(nothing, NO_MASKS, null);
  masking.policyChanged();
  expect(masking.check(null)).toBeNull();
  const governed = new SessionMasking(nothing, masks("a"), first);
  governed.policyChanged();
  expect(governed.check(null)).toBe(false);
});

test("what was asked before a change of policy does not count after it", async () => {
  const asked: PromiseWithResolvers<Masks>[] = [];
  const masksOf = (): Promise<Masks> => {
    const question = Promise.withResolvers<Masks>();
    asked.push(question);
    return question.promise;
  };
  const masking = new SessionMasking(source(masksOf), masks("a"), first);
  const before = masking.check(second);
  masking.policyChanged();
  asked[0]?.resolve(masks("a"));
  expect(await before).toBe(true);
  const after = masking.check(second);
  while (asked.length < 2) await Promise.resolve();
  asked[1]?.resolve(masks("b"));
  expect(await after).toBe(false);
});

test("a catalog that was asked for before a change of policy does not count after it", async () => {
  const loads: PromiseWithResolvers<WholeCatalog>[] = [];
  const loadCatalog = (): Promise<WholeCatalog> => {
    const load = Promise.withResolvers<WholeCatalog>();
    loads.push(load);
    return load.promise;
  };
  const masksOf = (catalog: WholeCatalog): Masks => masks(catalog === first ? "a" : "b");
  const masking = new SessionMasking(source(masksOf, { loadCatalog }), masks("a"), first);
  masking.policyChanged();
  const before = masking.check(first);
  masking.policyChanged();
  const after = masking.check(first);
  loads[0]?.resolve(first);
  expect(await before).toBe(true);
  expect(masking.check(first)).toBeInstanceOf(Promise);
  loads[1]?.resolve(second);
  expect(await after).toBe(false);
});

test("what was asked of a catalog that has moved on is to be asked again", async () => {
  const masking = new SessionMasking(
    source(() => Promise.reject(new CatalogMoved())),
    masks("a"),
    first,
  );
  expect(await masking.check(second)).toBe(true);
  expect(await masking.check(second)).toBe(true);
});

test("what cannot be found out is told", async () => {
  const failing = new SessionMasking(
    source(() => Promise.reject(new Error("gone"))),
    masks("a"),
    first,
  );
  expect(failing.check(second)).rejects.toThrow("gone");
  const throwing = new SessionMasking(
    source(() => {
      throw new Error("broken");
    }),
    masks("a"),
    first,
  );
  expect(throwing.check(second)).rejects.toThrow("broken");
});

const partial = (keepFirst: number, keepLast: number): MaskTransform => ({ with: "partial", keepFirst, keepLast });

for (const [planned, wanted, covers] of [
  [{ with: "redact" }, { with: "redact" }, true],
  [{ with: "redact" }, partial(1, 1), true],
  [{ with: "null" }, { with: "hash" }, true],
  [{ with: "hash" }, { with: "hash" }, true],
  [{ with: "hash" }, { with: "redact" }, false],
  [{ with: "hash" }, partial(4, 4), false],
  [partial(1, 1), { with: "redact" }, false],
  [partial(1, 1), { with: "hash" }, false],
  [partial(1, 1), partial(1, 1), true],
  [partial(1, 1), partial(2, 1), true],
  [partial(2, 1), partial(1, 1), false],
  [partial(1, 2), partial(1, 1), false],
] satisfies [MaskTransform, MaskTransform, boolean][]) {
  test(`${JSON.stringify(planned)} ${covers ? "covers" : "does not cover"} ${JSON.stringify(wanted)}`, () => {
    const masking = new SessionMasking(
      source(() => NO_MASKS),
      masks("a", { "s.r.c": planned }),
      first,
    );
    const obligation = { columns: { "s.r.c": wanted }, fields: {}, classifiers: {}, patterns: {} };
    expect(masking.covers({ ...obligation, predicates: "masked" })).toBe(covers);
    expect(masking.covers({ ...obligation, columns: { "s.r.d": wanted }, predicates: "masked" })).toBe(false);
  });
}
