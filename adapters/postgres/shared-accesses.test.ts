/** Equal lists are one object, and lists that differ in anything never are. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ACCESS_CLASSES, UNKNOWN, type Access, type Accesses } from "../../src/core/operation.ts";
import { SharedAccesses } from "./shared-accesses.ts";

const name = fc.constantFrom("a", "b", "a,b", "1:a", "a;b=", "?", "", "}");
const value = fc.oneof(fc.boolean(), fc.constant(UNKNOWN), fc.array(name, { maxLength: 3 }));
const facts = fc.dictionary(fc.constantFrom("verbs", "relations", "columns"), value, { maxKeys: 3 });
const access: fc.Arbitrary<Access> = fc.record(
  {
    class: fc.constantFrom(...ACCESS_CLASSES.slice(0, 2)),
    facts,
    opaque: fc.constant<true>(true),
    ambient: fc.constant<true>(true),
    named: fc.constantFrom(["columns"], ["verbs", "columns"]),
  },
  { requiredKeys: ["class", "facts"] },
);
const accesses: fc.Arbitrary<Accesses> = fc.oneof(fc.tuple(access), fc.tuple(access, access));

test("two lists are shared exactly when they say the same", () => {
  fc.assert(
    fc.property(accesses, accesses, fc.boolean(), fc.boolean(), (one, other, oneRead, otherRead) => {
      const shared = new SharedAccesses();
      const first = shared.share(one, oneRead);
      expect(shared.share([one[0], ...one.slice(1)], oneRead)).toBe(first);
      const isSame = Bun.deepEquals(one, other, true) && oneRead === otherRead;
      // Facts may come in another order and then are not shared, which only costs sharing.
      if (!isSame) expect(shared.share(other, otherRead)).not.toBe(first);
    }),
    { numRuns: 5000 },
  );
});

test("what is remembered is bounded", () => {
  const shared = new SharedAccesses();
  const list = (n: number): Accesses => [{ class: "read", facts: { relations: [`public.t${n}`] } }];
  const first = shared.share(list(0), true);
  for (let n = 1; n < 5000; n++) shared.share(list(n), true);
  expect(shared.share(list(0), true)).not.toBe(first);
});
