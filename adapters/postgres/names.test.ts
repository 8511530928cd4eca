/** What a name means is what the server will have made of it when the message that uses it arrives. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Names } from "./names.ts";

describe("within one segment", () => {
  test("what was sent can be relied on before it is acknowledged", () => {
    const names = new Names<string>();
    expect(names.lookup("s", 1)).toEqual({ kind: "absent" });
    names.announce("s", 1, "first");
    expect(names.lookup("s", 1)).toEqual({ kind: "known", value: "first" });
    names.announce("s", 1, null);
    expect(names.lookup("s", 1)).toEqual({ kind: "absent" });
    names.announce("s", 1, "second");
    expect(names.lookup("s", 1)).toEqual({ kind: "known", value: "second" });
  });

  test("an unacknowledged name is not committed", () => {
    const names = new Names<string>();
    const pending = names.announce("s", 1, "value");
    expect(names.committed("s")).toBeUndefined();
    names.acknowledge(pending);
    expect(names.committed("s")).toBe("value");
  });
});

describe("in a later segment", () => {
  test("what is on its way is waited for", () => {
    const names = new Names<string>();
    names.commit("s", "old");
    const pending = names.announce("s", 1, "new");
    expect(names.lookup("s", 2)).toEqual({ kind: "wait" });
    names.acknowledge(pending);
    expect(names.lookup("s", 2)).toEqual({ kind: "known", value: "new" });
  });

  test("what was skipped leaves the name as it was", () => {
    const names = new Names<string>();
    names.commit("kept", "old");
    names.drop(names.announce("kept", 1, null));
    names.drop(names.announce("given", 1, "never"));
    expect(names.lookup("kept", 2)).toEqual({ kind: "known", value: "old" });
    expect(names.lookup("given", 2)).toEqual({ kind: "absent" });
  });

  test("names that nobody touched need no waiting", () => {
    const names = new Names<string>();
    names.commit("a", "value");
    names.announce("b", 1, "other");
    expect(names.lookup("a", 2)).toEqual({ kind: "known", value: "value" });
  });
});

test("the acknowledgement of an earlier message does not hide a later one", () => {
  const names = new Names<string>();
  const first = names.announce("s", 1, "first");
  const second = names.announce("s", 1, null);
  names.acknowledge(first);
  expect(names.lookup("s", 1)).toEqual({ kind: "absent" });
  expect(names.lookup("s", 2)).toEqual({ kind: "wait" });
  names.acknowledge(second);
  expect(names.lookup("s", 2)).toEqual({ kind: "absent" });
});

test("keepOnly forgets what was acknowledged and leaves what is on its way", () => {
  const names = new Names<number>();
  names.commit("odd", 1);
  names.commit("even", 2);
  names.announce("later", 1, 3);
  names.keepOnly((value) => value % 2 === 0);
  expect(names.committed("odd")).toBeUndefined();
  expect(names.committed("even")).toBe(2);
  expect(names.lookup("later", 1)).toEqual({ kind: "known", value: 3 });
});

test("names of the prototype are names like any other", () => {
  const names = new Names<string>();
  for (const name of ["__proto__", "constructor", "", "toString"]) {
    expect(names.lookup(name, 1)).toEqual({ kind: "absent" });
    names.commit(name, name);
    expect(names.lookup(name, 1)).toEqual({ kind: "known", value: name });
  }
});

/** A message of a pipeline: it gives or takes a name, fails, or ends the segment. */
const message = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("give" as const), name: fc.constantFrom("a", "b", ""), value: fc.nat(9) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("take" as const), name: fc.constantFrom("a", "b", "") }) },
  { weight: 2, arbitrary: fc.constant({ kind: "fail" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "sync" as const }) },
  { weight: 4, arbitrary: fc.constant({ kind: "reply" as const }) },
);

/**
 * The server as a model: it works through what was sent one by one, skips from an error to the Sync, and what a
 * lookup calls known must be what the server has for that name when it gets there, unless it skips that message too.
 */
test("a known name is what the server has when the message arrives", () => {
  type Sent =
    | {
        readonly kind: "name";
        readonly name: string;
        readonly value: number | null;
        settle(acknowledged: boolean): void;
      }
    | { readonly kind: "use"; readonly name: string; readonly expected: number | null }
    | { readonly kind: "fail" }
    | { readonly kind: "sync" };
  fc.assert(
    fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
      const names = new Names<number>();
      const atServer = new Map<string, number>();
      const sent: Sent[] = [];
      let segment = 0;
      let isSkipping = false;

      const serve = (): void => {
        const next = sent.shift();
        if (next === undefined) return;
        if (next.kind === "sync") {
          isSkipping = false;
        } else if (isSkipping) {
          if (next.kind === "name") next.settle(false);
        } else if (next.kind === "fail") {
          isSkipping = true;
        } else if (next.kind === "use") {
          expect(atServer.get(next.name) ?? null).toBe(next.expected);
        } else {
          if (next.value === null) atServer.delete(next.name);
          else atServer.set(next.name, next.value);
          next.settle(true);
        }
      };

      for (const each of messages) {
        if (each.kind === "sync") {
          sent.push({ kind: "sync" });
          segment++;
        } else if (each.kind === "fail") {
          sent.push({ kind: "fail" });
        } else if (each.kind === "reply") {
          serve();
        } else {
          const value = each.kind === "give" ? each.value : null;
          const pending = names.announce(each.name, segment, value);
          sent.push({
            kind: "name",
            name: each.name,
            value,
            settle: (acknowledged) => (acknowledged ? names.acknowledge(pending) : names.drop(pending)),
          });
        }
        for (const name of ["a", "b", ""]) {
          const found = names.lookup(name, segment);
          if (found.kind !== "wait")
            sent.push({ kind: "use", name, expected: found.kind === "known" ? found.value : null });
        }
      }
      while (sent.length > 0) serve();
      for (const name of ["a", "b", ""]) expect(names.committed(name)).toBe(atServer.get(name));
    }),
  );
});
