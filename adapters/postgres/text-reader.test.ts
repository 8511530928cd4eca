/** Whether a session's masks are asked for again when something was not known at first. */
import { expect, test } from "bun:test";
import type { MaskingPlan } from "./mask/plan.ts";
import { CatalogMoved, SessionMasking, type Masks, type WholeCatalog } from "./mask/session-masking.ts";
import { TextReader, type TextReaderParts } from "./text-reader.ts";

// Only their identity is looked at.
const [first, second] = [{}, {}] as unknown as [WholeCatalog, WholeCatalog];

function masks(digest: string): Masks {
  return { plan: { digest } as MaskingPlan, columns: new Map() };
}

/** A reader of a session with masks of the digest "a"; what was told of them, and what is awaited. */
function reader(options: {
  readonly masksOf: () => Masks | Promise<Masks>;
  readonly catalog: WholeCatalog;
  readonly behind?: Promise<void>;
}): {
  readonly texts: TextReader;
  readonly masking: SessionMasking;
  readonly told: unknown[];
  settle(): Promise<void>;
} {
  const told: unknown[] = [];
  const awaited: Promise<unknown>[] = [];
  const source = { couldMask: () => true, loadCatalog: async () => options.catalog, masksOf: options.masksOf };
  const masking = new SessionMasking(source, masks("a"), first);
  let isBehind = options.behind !== undefined;
  const database = {
    catalog: options.catalog,
    get isBehind() {
      return isBehind;
    },
    catchUp: async () => {
      await options.behind;
      isBehind = false;
    },
  };
  const parts = {
    database,
    masking,
    await: (work: Promise<unknown>) => void awaited.push(work),
    masksChanged: () => void told.push("changed"),
    masksUnknown: (because: unknown) => void told.push(because),
    masksHeld: () => void told.push("held"),
  } as unknown as TextReaderParts;
  const settle = async (): Promise<void> => {
    for (let work = awaited.shift(); work !== undefined; work = awaited.shift()) await work;
  };
  return { texts: new TextReader(parts), masking, told, settle };
}

test("a change of policy while the catalog is behind is seen when it is there, without a message", async () => {
  const behind = Promise.withResolvers<void>();
  const { texts, masking, told, settle } = reader({
    masksOf: () => masks("b"),
    catalog: first,
    behind: behind.promise,
  });
  expect(texts.masksHold()).toBe(false);
  masking.policyChanged();
  expect(texts.masksHold()).toBe(false);
  expect(told).toEqual([]);
  behind.resolve();
  await settle();
  expect(told).not.toEqual([]);
  expect(new Set(told)).toEqual(new Set(["changed"]));
});

test("masks that were asked of a catalog that has moved on are asked of the next, without a message", async () => {
  const answers = [Promise.reject(new CatalogMoved()), Promise.resolve(masks("b"))];
  const { texts, told, settle } = reader({ masksOf: () => answers.shift() ?? masks("a"), catalog: second });
  expect(texts.masksHold()).toBe(false);
  await settle();
  expect(told).toEqual(["changed"]);
});

test("what holds after all holds", async () => {
  const { texts, told, settle } = reader({
    masksOf: async () => masks("a"),
    catalog: second,
    behind: Promise.resolve(),
  });
  expect(texts.masksHold()).toBe(false);
  await settle();
  expect(told).toEqual(["held"]);
  expect(texts.masksHold()).toBe(true);
});

test("a catalog that cannot be read is no change of masks", async () => {
  const gone = new Error("the target is gone");
  const behind = reader({ masksOf: () => masks("a"), catalog: first, behind: Promise.reject(gone) });
  expect(behind.texts.masksHold()).toBe(false);
  await behind.settle();
  expect(behind.told).toEqual([gone]);
  const asking = reader({ masksOf: () => Promise.reject(gone), catalog: second });
  expect(asking.texts.masksHold()).toBe(false);
  await asking.settle();
  expect(asking.told).toEqual([gone]);
});
