/** Rules as people read them: what is short stands on one line, and what a rule takes over stands behind its own. */
import { expect, test } from "bun:test";
import { rulesFile } from "../../../test/policy-sets.ts";
import { writtenRule } from "./written-rule.ts";

/** The only rule of a file, `one`, printed; its keys are these lines. */
function printed(lines: readonly string[], defaults = ""): string {
  return printedOf(rulesFile("Guards", `- id: one\n${lines.map((line) => `  ${line}\n`).join("")}`, defaults));
}

function printedOf(text: string, path = "guards/a.yaml", id = "one"): string {
  const files = [{ path, bytes: new TextEncoder().encode(text), sha256: "" }];
  return writtenRule({ realDir: "/", files, digest: "", problems: [] }, { file: "guards/a.yaml", id });
}

test("a rule that is short stands on one line, and each key of a longer one on its own", () => {
  expect(printed(["action: { any: true }", "deny: No."])).toBe("- { id: one, action: { any: true }, deny: No. }");
  expect(printed(["action: { tiny: { verbs: [get, put] } }", "limit: [1, true, null, x]"])).toBe(
    "- id: one\n  action:\n    tiny: { verbs: [ get, put ] }\n  limit: [ 1, true, null, x ]",
  );
});

test("short are texts of at most forty characters, and lists and maps of at most six of them", () => {
  const [forty, more] = ["x".repeat(40), "x".repeat(41)];
  expect(printed([`a: ${forty}`])).toBe(`- { id: one, a: ${forty} }`);
  expect(printed([`a: ${more}`])).toBe(`- id: one\n  a: ${more}`);
  expect(printed(["a: 12345678901234567890123456789012345678901"])).toStartWith("- { id: one, a: 1");
  expect(printed(["a: [1, 2, 3, 4, 5, 6]"])).toBe("- { id: one, a: [ 1, 2, 3, 4, 5, 6 ] }");
  expect(printed(["a: [1, 2, 3, 4, 5, 6, 7]"])).toBe("- id: one\n  a: [ 1, 2, 3, 4, 5, 6, 7 ]");
  expect(printed(["a: { b: 1, c: 2, d: 3, e: 4, f: 5, g: 6 }"])).toBe(
    "- { id: one, a: { b: 1, c: 2, d: 3, e: 4, f: 5, g: 6 } }",
  );
  expect(printed(["a: { b: 1, c: 2, d: 3, e: 4, f: 5, g: 6, h: 7 }"])).toBe(
    "- id: one\n  a: { b: 1, c: 2, d: 3, e: 4, f: 5, g: 6, h: 7 }",
  );
});

test("what holds lists of lists is not short", () => {
  expect(printed(["a: [1, [2]]"])).toBe("- id: one\n  a: [ 1, [ 2 ] ]");
  expect(printed(["a: [[1], 2]"])).toBe("- id: one\n  a: [ [ 1 ], 2 ]");
  expect(printed(["a: { b: [1, [2]], c: 3 }"])).toBe("- id: one\n  a:\n    b: [ 1, [ 2 ] ]\n    c: 3");
});

test("the rule's own keys come before those that it takes over", () => {
  expect(printed(["deny: No.", "contact: me"], "{ contact: you, action: { any: true } }")).toBe(
    "- { id: one, deny: No., contact: me, action: { any: true } }",
  );
});

test("of what is not there, nothing is printed", () => {
  const rules = rulesFile("Guards", "- id: one\n- two\n- [three]\n- null");
  expect(printedOf(rules)).toBe("- { id: one }");
  for (const text of ["", "a", "[a]", "null", "rules: one", "rules: { id: one }", "rules: [one, [one], null]", "{{"]) {
    expect(printedOf(text)).toBe("");
  }
  expect(printedOf(rules, "guards/b.yaml")).toBe("");
  expect(printedOf(rules, "guards/a.yaml", "two")).toBe("");
  for (const defaults of ["[any]", "any", "null"]) {
    expect(printedOf(rulesFile("Guards", "- id: one", defaults))).toBe("- { id: one }");
  }
});
