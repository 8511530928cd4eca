/** The keys of adapters' vocabularies: each kind of value, and names that the catalog does not know. */
import { describe, expect, test } from "bun:test";
import { guardOf, loadGood, oneRule, permitOf, problemsOf } from "../../../test/policy-problems.ts";
import { setOf } from "../../../test/policy-sets.ts";
import { formatCatalogTarget, makeCatalogTarget } from "../set/catalog.ts";
import type { KeyMatcher, Rule } from "../engine/rule.ts";

const PERMIT = ["subject: { kinds: [human] }", "target: { names: [box] }"];

function matcherIn(rule: Rule, kind: KeyMatcher["kind"]): KeyMatcher | undefined {
  return rule.blocks
    .get("tiny")
    ?.flatMap(({ keys }) => keys)
    .find((matcher) => matcher.kind === kind);
}

describe("each kind of key", () => {
  test("argv: words, globs, one of several, and sets", async () => {
    const permit = await permitOf([...PERMIT, "action: { tiny: { words: [[ls, [-l, -a], 'x*'], [cat, $mine]] } }"]);
    const matcher = matcherIn(permit, "argv");
    if (matcher?.kind !== "argv") throw new Error("no argv");
    expect(matcher.argv.texts).toEqual(["cat {my.a,my.b}", "ls {-l,-a} x*"]);
    expect(matcher.argv.hasEvery(["ls", "-a", "xy"])).toBe(true);
    expect(matcher.argv.hasEvery(["cat", "my.b"])).toBe(true);
    expect(matcher.argv.hasEvery(["cat", "my.c"])).toBe(false);
  });

  test("contains: parts and patterns, folded in guards", async () => {
    const action = "action: { tiny: { texts: [Secret, $ticket] } }";
    const of = (rule: Rule) => {
      const matcher = matcherIn(rule, "contains");
      if (matcher?.kind !== "contains") throw new Error("no contains");
      return matcher.texts;
    };
    const guard = of(await guardOf([action, "deny: No."]));
    expect([guard.hasAny(["a SECRET"]), guard.hasAny(["see T-12"]), guard.hasAny(["see t-12"])]).toEqual([
      true,
      true,
      false,
    ]);
    expect(of(await permitOf([...PERMIT, action])).hasAny(["a SECRET"])).toBe(false);
    const except = `except: [{ ${action}, reason: x }]`;
    const [exception] = (await guardOf(["action: { tiny: {} }", "deny: No.", except])).except;
    const [matcher] = exception?.blocks?.get("tiny")?.flatMap(({ keys }) => keys) ?? [];
    // An exception widens, so it is compared as exactly as a permit.
    if (matcher?.kind !== "contains") throw new Error("no contains");
    expect(matcher.texts.hasAny(["a SECRET"])).toBe(false);
  });

  test("fields: values by name", async () => {
    const matcher = matcherIn(
      await permitOf([...PERMIT, "action: { tiny: { fields: { repo: [$mine], env: [test] } } }"]),
      "fields",
    );
    if (matcher?.kind !== "fields") throw new Error("no fields");
    expect(matcher.fields.texts).toEqual(["env=test", "repo=my.a", "repo=my.b"]);
  });

  test("paths: globs stop at slashes, and not at dots", async () => {
    const permit = await permitOf([
      "subject: { kinds: [human] }",
      "target: { names: [far] }",
      "action: { other: { paths: ['/etc/*', '/Var/**'] } }",
    ]);
    const [matcher] = permit.blocks.get("other")?.flatMap(({ keys }) => keys) ?? [];
    if (matcher?.kind !== "names") throw new Error("no names");
    const has = (path: string): boolean => matcher.names.has(path);
    expect([has("/etc/a.b"), has("/etc/a/b"), has("/Var/a/b"), has("/var/a")]).toEqual([true, false, true, false]);
    const things = matcherIn(await permitOf([...PERMIT, "action: { tiny: { things: ['a.*'] } }"]), "names");
    if (things?.kind !== "names") throw new Error("no names");
    expect([things.names.has("a.b"), things.names.has("a.b.c")]).toEqual([true, false]);
  });

  test.each([
    ["words: [ls]", '7:31 error WRONG_TYPE expected a list, not "ls". Write [ls]'],
    ["words: [[ls, [[a]]]]", "7:37 error WRONG_TYPE expected text, not a list"],
    ["words: [[ls, $nope]]", '7:36 error UNKNOWN_SET there is no set "$nope". There is $builtin, $mine, $nested'],
    ["words: [[ls, [a, $nope]]]", '7:40 error UNKNOWN_SET there is no set "$nope". There is $builtin, $mine, $nested'],
    ["words: [[]]", "7:31 error BAD_VALUE the list is empty. Write at least one item, or leave out the key"],
    ["texts: [$tikcet]", '7:31 error UNKNOWN_PATTERN there is no pattern "$tikcet". Did you mean "$ticket"?'],
    ["fields: [a]", "7:31 error WRONG_TYPE expected a map, not a list"],
    ["fields: {}", "7:31 error BAD_VALUE the map is empty"],
    ["fields: { a*: [b] }", '7:33 error BAD_VALUE "a*" cannot be the name of a field. Names of fields are written out'],
    ["fields: { a: b }", '7:36 error WRONG_TYPE expected a list, not "b". Write [b]'],
    ["wide: 1", "7:29 error WRONG_TYPE expected true or false, not 1"],
  ])("%s", async (key, expected) => {
    const files = setOf({ "permits/a.yaml": oneRule("Permits", [...PERMIT, `action: { tiny: { ${key} } }`]) });
    expect(await problemsOf(files)).toEqual([`permits/a.yaml:${expected}`]);
  });

  test("a pattern that is found in what it must not match is not searched for", async () => {
    const vocabulary =
      'apiVersion: weir.dev/v1\nkind: Vocabulary\npatterns: { key: { pattern: "K[0-9]+", match: [K1], noMatch: [K1x] } }\n';
    const files = {
      "vocabulary.yaml": vocabulary,
      "guards/a.yaml": oneRule("Guards", ["action: { tiny: { texts: [$key] } }", "deny: No."]),
    };
    expect(await problemsOf(setOf(files))).toEqual([
      'guards/a.yaml:5:31 error BAD_PATTERN "$key" is searched for here, and is found within "K1x", which it must not match. Correct the sample in vocabulary.yaml, or bound the pattern, for instance with \\b',
    ]);
    const whole = {
      ...files,
      "guards/a.yaml": oneRule("Guards", ["action: { tiny: {} }", "require: { justification: { pattern: $key } }"]),
    };
    expect(await problemsOf(setOf(whole))).toEqual([]);
  });
});

describe("the catalog", () => {
  const catalogOf = (
    name: string,
    names: Record<string, readonly string[]>,
    unlisted: Record<string, readonly string[]> = {},
  ) =>
    formatCatalogTarget(
      makeCatalogTarget({ name, adapter: "tiny", labels: { env: "prod" }, names, unlisted, detail: null }),
    );
  const withThings = (things: string, target: string, more: Record<string, string> = {}) =>
    problemsOf(
      setOf({
        "catalog/box.json": catalogOf("box", { things: ["orders", "users"] }, { things: ["sys.**"] }),
        ...more,
        "permits/a.yaml": oneRule("Permits", [
          "subject: { kinds: [human] }",
          `target: ${target}`,
          `action: { tiny: { things: [${things}] } }`,
        ]),
      }),
    );

  test("knows what there is, so a name that is not among it is a mistake", async () => {
    expect(await withThings("orders, users, sys.a.b, 'o*'", "{ names: [box] }")).toEqual([]);
    expect(await withThings("orders, user", "{ names: [box] }")).toEqual([
      'permits/a.yaml:7:40 error UNKNOWN_NAME "user" is not among the things of the target box. Did you mean "users"?',
    ]);
    expect(await withThings("nowhere", "{ names: [box] }")).toEqual([
      'permits/a.yaml:7:32 error UNKNOWN_NAME "nowhere" is not among the things of the target box. There is orders, users',
    ]);
  });

  test("says nothing where it does not know every target of the rule, or not the key", async () => {
    expect(await withThings("user", "{ names: [box, bag] }")).toEqual([]);
    const bag = { "catalog/bag.json": catalogOf("bag", { tools: ["x"] }) };
    expect(await withThings("user", "{ names: [box, bag] }", bag)).toEqual([]);
    const known = { "catalog/bag.json": catalogOf("bag", { things: ["user"] }) };
    expect(await withThings("user", "{ names: [box, bag] }", known)).toEqual([]);
    expect(await withThings("usr", "{ names: [box, bag] }", known)).toEqual([
      'permits/a.yaml:7:32 error UNKNOWN_NAME "usr" is not among the things of any of the 2 targets. Did you mean "user"?',
    ]);
  });

  test("brings targets of other gateways", async () => {
    const away = { "catalog/away.json": catalogOf("away", { things: ["a"] }) };
    expect(await withThings("a", "{ names: [away] }", away)).toEqual([]);
    expect(await withThings("a", "{ names: [awya] }", away)).toEqual([
      'permits/a.yaml:6:23 error UNKNOWN_TARGET there is no target "awya". Did you mean "away"?',
    ]);
    const set = await loadGood(setOf(away));
    expect([...(set.catalog?.targets.keys() ?? [])]).toEqual(["away"]);
    expect((await loadGood(setOf({}))).catalog).toBeNull();
  });

  test("that is broken refuses the set", async () => {
    expect(await withThings("a", "{ names: [box] }", { "catalog/bag.json": "{" })).toContain(
      "catalog/bag.json error SYNTAX the file is no JSON in UTF-8. Run weir policy catalog pull to write it again",
    );
  });
});
