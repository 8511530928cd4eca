/** Accesses in words: the verb with what is special of it, what it is done to, and which parts of that. */
import { expect, test } from "bun:test";
import { access, TINY } from "../../../test/policy-sets.ts";
import { UNKNOWN } from "../../core/operation.ts";
import { accessWords } from "./access-words.ts";

test("a flag stands before the verb when it is set, and nothing else of the access does", () => {
  const drop = { verbs: ["drop"], things: ["main.a"] };
  expect(accessWords([access({ facts: { ...drop, wide: true } })], TINY)).toEqual(["wide drop on main.a"]);
  expect(accessWords([access({ facts: { ...drop, wide: false } })], TINY)).toEqual(["drop on main.a"]);
  expect(accessWords([access({ facts: { ...drop, wide: UNKNOWN } })], TINY)).toEqual(["drop on main.a(unknown wide)"]);
});

test("an access that names nothing is its verb, else its class", () => {
  expect(accessWords([access({ facts: { verbs: ["run"] } })], TINY)).toEqual(["run"]);
  expect(accessWords([access({ class: "write" })], TINY)).toEqual(["write"]);
  // Of a protocol that is not known, only the class can be said.
  expect(accessWords([access({ facts: { verbs: ["get"], things: ["main.a"] } })], undefined)).toEqual(["read"]);
});

test("verbs with the same names share them, and each thing has the least of its parts", () => {
  const on = (verb: string, thing: string, ...columns: string[]) =>
    access({ facts: { verbs: [verb], things: [thing], ...(columns.length === 0 ? {} : { columns }) } });
  expect(
    accessWords([on("get", "main.b"), on("get", "main.a", "main.a.id"), on("put", "main.a", "main.a.id")], TINY),
  ).toEqual(["get on main.a(id), main.b", "put on main.a(id)"]);
  expect(accessWords([on("get", "main.a"), on("put", "main.a")], TINY)).toEqual(["get, put on main.a"]);
  const least = [on("get", "main.a", "main.a.id", "main.a.mail"), on("get", "main.a", "main.a.mail")];
  expect(accessWords(least, TINY)).toEqual(["get on main.a(mail)"]);
  expect(accessWords([...least, on("get", "main.a")], TINY)).toEqual(["get on main.a"]);
});
