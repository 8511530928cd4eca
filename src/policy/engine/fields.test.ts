/** Values by the name of a field. */
import { expect, test } from "bun:test";
import { FieldsList } from "./fields.ts";
import { NameList } from "./names.ts";

const fields = new Map([
  ["repo", new NameList(["a/b", "c/*"])],
  ["state", new NameList(["open"])],
]);

test.each<[string, readonly string[], boolean, boolean]>([
  ["both are listed", ["repo=a/b", "state=open"], true, true],
  ["others may be anything", ["repo=c/d", "state=open", "body=text"], true, true],
  ["one is missing", ["repo=a/b"], false, false],
  ["one has another value", ["repo=a/b", "state=shut"], false, false],
  ["one has two values, of which one is listed", ["repo=a/b", "repo=x/y", "state=open"], false, true],
  ["names are exact", ["Repo=a/b", "state=open"], false, false],
  ["a value may hold an equals sign", ["repo=a/b=c", "state=open"], false, false],
  ["there are none", [], false, false],
])("%s: %p, permitted %p, guarded %p", (_, facts, isPermitted, isGuarded) => {
  const list = new FieldsList(fields);
  expect([list.hasEvery(facts), list.hasAny(facts)]).toEqual([isPermitted, isGuarded]);
});

test("the name ends at the first equals sign", () => {
  const list = new FieldsList(new Map([["q", new NameList(["a=b", ""])]]));
  expect(list.hasEvery(["q=a=b"])).toBe(true);
  expect(list.hasEvery(["q"])).toBe(true);
  expect(list.hasEvery(["q=a"])).toBe(false);
});

test("may compare without regard to case", () => {
  const list = new FieldsList(new Map([["Env", new NameList(["Prod"], { folds: true })]]), { folds: true });
  expect(list.hasAny(["ENV=pROD"])).toBe(true);
  expect(list.hasAny(["env=test"])).toBe(false);
});

test("of no fields at all a guard does not fall silent", () => {
  const list = new FieldsList(new Map());
  expect(list.hasAny([])).toBe(true);
  expect(list.hasEvery([])).toBe(false);
});

test("shows its values", () => {
  expect(new FieldsList(fields).texts).toEqual(["repo=a/b", "repo=c/*", "state=open"]);
});
