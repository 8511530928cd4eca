/**
 * From an empty folder to a working policy set by what `weir policy check` says alone: every word that is written here
 * was said by the tool before, or is the newcomer's own.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { VOCABULARIES } from "../../adapters/index.ts";
import { PolicyStore } from "../../src/policy/store.ts";
import { runWeir } from "../gateway.ts";
import { identity, NOW, operation, session as sessionOf } from "../policy-sets.ts";

setDefaultTimeout(240_000);

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "weir-newcomer-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** What a newcomer brings: names of things in their house, numbers, and what they guess. */
const OWN = ["mine", "people-read", "support", "orders", "dbas-only", "masked", "Ask", "the", "DBAs", "100", "-"];

/** The words of a text: what stands between the marks of YAML, of sentences and of this tool's placeholders. */
function wordsOf(text: string): readonly string[] {
  return text.split(/[\s"'`[\]{},()]+|[.:;?]+(?=\s|$)/u).filter((word) => word !== "" && word !== "...");
}

/** Somebody who knows nothing but what was printed so far. */
class Newcomer {
  readonly #heard = new Set<string>(OWN);

  async run(...args: readonly string[]): Promise<{ readonly status: number; readonly lines: readonly string[] }> {
    const { status, stdout, stderr } = await runWeir(args, { cwd: home });
    for (const word of wordsOf(stdout + stderr)) this.#heard.add(word);
    return { status, lines: (stderr + stdout).trimEnd().split("\n") };
  }

  /** What check says now. */
  async check(): Promise<readonly string[]> {
    return (await this.run("policy", "check", "--policies", "policies")).lines;
  }

  /** Writes a file with words that were heard, or that are guesses which are to be wrong. */
  write(path: string, text: string, guesses: readonly string[] = []): void {
    const unheard = wordsOf(text).filter((word) => !this.#heard.has(word) && !guesses.includes(word));
    expect([path, unheard]).toEqual([path, []]);
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), text);
  }
}

/** What a gateway with this set decides on what somebody of the group support wants to do. */
async function decisionOf(verb: string, relation: string): Promise<string> {
  const target = { name: "orders", adapter: "postgres", labels: {}, settings: null };
  const store = await PolicyStore.open(join(home, "policies"), VOCABULARIES, [target], () => undefined);
  const session = { ...sessionOf(identity("human", "ann", ["support"])), target };
  const facts = { databases: ["orders"], verbs: [verb], relations: [relation], columns: [`${relation}.id`] };
  return store.decide(session, operation(session, [{ class: "read", facts }]), NOW).kind;
}

const PERMITS = "apiVersion: weir.dev/v1\nkind: Permits\n";
const GUARDS = "apiVersion: weir.dev/v1\nkind: Guards\n";
const permit = (...lines: readonly string[]): string =>
  `${PERMITS}rules:\n  - id: people-read\n${lines.map((line) => `    ${line}\n`).join("")}`;
const guard = (...lines: readonly string[]): string =>
  `${GUARDS}rules:\n  - id: dbas-only\n${lines.map((line) => `    ${line}\n`).join("")}`;

test("check leads from nothing to a set that permits something", async () => {
  const newcomer = new Newcomer();
  const { lines } = await newcomer.run("policy", "check");
  expect(lines.join(" ")).toContain("Name the policy folder with --policies DIR, which may be new and empty");

  // The folder and policy.yaml.
  expect((await newcomer.check())[0]).toContain("Make it: it may be empty to begin with");
  mkdirSync(join(home, "policies"));
  expect(await newcomer.check()).toEqual([
    "policies error MISSING_KEY there is no policy.yaml in the policy folder. Add one with apiVersion: weir.dev/v1, kind: PolicySet and a name",
  ]);
  newcomer.write("policies/policy.yaml", "kind: PolicySet\n");
  expect(await newcomer.check()).toEqual([
    'policies/policy.yaml:1:1 error MISSING_KEY the key "apiVersion" is missing. Write apiVersion: weir.dev/v1',
    'policies/policy.yaml:1:1 error MISSING_KEY the key "name" is missing. Write name: and what the set is called',
  ]);
  newcomer.write("policies/policy.yaml", "apiVersion: weir.dev/v1\nkind: PolicySet\nname: mine\n");
  expect(await newcomer.check()).toEqual([
    "policies warning NOTHING_PERMITTED no rule permits anything, so everything is refused. Add a file such as permits/people.yaml with apiVersion: weir.dev/v1, kind: Permits and rules",
    "ok",
  ]);

  // The file of permits: its name, its first lines, its rules.
  newcomer.write("policies/permits/people.yml", "");
  expect(await newcomer.check()).toEqual([
    "policies/permits/people.yml error WRONG_FOLDER policy files end in .yaml. Rename the file, or move it elsewhere",
  ]);
  renameSync(join(home, "policies/permits/people.yml"), join(home, "policies/permits/people.yaml"));
  expect(await newcomer.check()).toEqual([
    "policies/permits/people.yaml:1:1 error SYNTAX the file is empty. It begins with apiVersion: weir.dev/v1 and kind: Permits",
  ]);
  newcomer.write("policies/permits/people.yaml", "apiVersion: weir.dev/v1\nkind: Permit\n", ["Permit"]);
  expect(await newcomer.check()).toEqual([
    'policies/permits/people.yaml:2:7 error BAD_VALUE there is no such kind of file. Did you mean "Permits"?',
  ]);
  newcomer.write("policies/permits/people.yaml", PERMITS);
  const list = "Write rules: and below it a list, each item with - id: and a name for the rule";
  expect(await newcomer.check()).toEqual([
    `policies/permits/people.yaml:1:1 error MISSING_KEY the key "rules" is missing. ${list}`,
  ]);
  newcomer.write("policies/permits/people.yaml", `${PERMITS}rules: []\n`);
  expect(await newcomer.check()).toEqual([
    `policies/permits/people.yaml:3:8 error BAD_VALUE the list is empty. ${list}`,
  ]);

  // The parts of a permit, all at once.
  newcomer.write("policies/permits/people.yaml", permit());
  const missing = await newcomer.check();
  expect(missing.map((line) => line.split(". ", 1)[0] ?? "")).toEqual([
    'policies/permits/people.yaml:4:5 error MISSING_KEY "people-read" has no action',
    'policies/permits/people.yaml:4:5 error MISSING_KEY "people-read" has no subject',
    'policies/permits/people.yaml:4:5 error MISSING_KEY "people-read" has no target',
  ]);
  const subject = "subject: { groups: [support] }";
  const target = "target: { names: [orders] }";
  newcomer.write("policies/permits/people.yaml", permit(subject, target, "action: { posgres: {} }"), ["posgres"]);
  expect(await newcomer.check()).toEqual([
    'policies/permits/people.yaml:5:25 error UNKNOWN_GROUP there is no group "support". Declare it in vocabulary.yaml: groups: { support: support }, where the second is the identity provider\'s id',
    'policies/permits/people.yaml:7:15 error UNKNOWN_KEY "posgres" is not a key here. Did you mean "postgres"?',
  ]);

  // The vocabulary.
  newcomer.write("policies/vocabulary.yaml", "groups: { support: support }\n");
  expect((await newcomer.check()).at(-1)).toBe(
    'policies/vocabulary.yaml:1:1 error MISSING_KEY the key "kind" is missing. Here it is kind: Vocabulary',
  );
  newcomer.write(
    "policies/vocabulary.yaml",
    "apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups: { support: support }\n",
  );

  // What may be done, and to what.
  const actions: readonly (readonly [string, readonly string[], string])[] = [
    ["{ verb: [selct] }", ["verb", "selct"], '"verb" is not a key here. Did you mean "verbs"?'],
    ["{ verbs: [selct] }", ["selct"], '"selct" is not one of verbs. Did you mean "select"?'],
    ["{ verbs: select }", [], 'expected a list, not "select". Write [select]'],
    [
      "{ verbs: [select], relation: [orders] }",
      ["relation"],
      '"relation" is not a key here. Did you mean "relations"?',
    ],
    [
      "{ verbs: [select], relations: [orders] }",
      [],
      '"orders" can never match: relations are schema.name. Did you mean "public.orders"?',
    ],
  ];
  for (const [written, guesses, expected] of actions) {
    newcomer.write(
      "policies/permits/people.yaml",
      permit(subject, target, `action: { postgres: ${written} }`),
      guesses,
    );
    expect((await newcomer.check()).map((line) => line.split(" ").slice(3).join(" "))).toEqual([expected]);
  }
  const action = "action: { postgres: { verbs: [select], relations: [public.orders] } }";
  newcomer.write("policies/permits/people.yaml", permit(subject, target, action));
  expect(await newcomer.check()).toEqual(["ok"]);
  expect(await decisionOf("select", "public.orders")).toBe("permit");
  expect(await decisionOf("delete", "public.orders")).toBe("deny");

  // What else a permit may say; numbers want their units.
  const also = (text: string): string => permit(subject, target, action, text);
  newcomer.write("policies/permits/people.yaml", also("limits: { lines: 100 }"), ["limits", "lines"]);
  expect((await newcomer.check())[0]).toContain('"limits" is not a key here. There is id, ');
  newcomer.write("policies/permits/people.yaml", also("obligations: {}"));
  expect((await newcomer.check())[0]).toEndWith("this obliges to nothing. Write mask, limit, record, session or alert");
  newcomer.write("policies/permits/people.yaml", also("obligations: { limit: { lines: 100 } }"), ["lines"]);
  expect((await newcomer.check())[0]).toEndWith('"lines" is not a key here. There is rows, bytes, time, rate, budget');
  newcomer.write("policies/permits/people.yaml", also("obligations: { limit: { rows: 100, time: 30 } }"), ["30"]);
  expect((await newcomer.check())[0]).toEndWith('expected text, not 30. Write a number with its unit, such as "30m"');
  newcomer.write("policies/permits/people.yaml", also("obligations: { limit: { rows: 100, time: 30m } }"));
  expect(await newcomer.check()).toEqual(["ok"]);

  // A guard, and what it may say.
  newcomer.write("policies/guards/all.yaml", PERMITS);
  expect((await newcomer.check())[0]).toEndWith(
    "a file of kind Permits does not belong here. Its place is permits/, and here it is kind: Guards",
  );
  newcomer.write("policies/guards/all.yaml", guard());
  expect((await newcomer.check()).map((line) => line.split("/").slice(2).join("/"))).toEqual([
    'all.yaml:4:5 error MISSING_KEY "dbas-only" has no action. A guard says what it is about, such as action: { classes: [define] }, or action: { any: true }',
    'all.yaml:4:5 error MISSING_KEY "dbas-only" has no deny. A guard says deny: and a sentence for people, require: { approval: { from: { groups: [...] } } }, or oblige: { limit: { rows: 100 } }',
  ]);
  newcomer.write("policies/guards/all.yaml", guard("action: { classes: [define] }", "deny: Ask the DBAs."));
  expect(await newcomer.check()).toEqual(["ok"]);
  newcomer.write("policies/guards/all.yaml", guard("action: { classes: [define] }", "require: { approval: {} }"));
  expect((await newcomer.check())[0]).toEndWith('the key "from" is missing. Write from: { groups: [...] }');
  newcomer.write(
    "policies/guards/all.yaml",
    guard("action: { classes: [define] }", "require: { approval: { from: { groups: [support] } } }"),
  );
  expect(await newcomer.check()).toEqual(["ok"]);
});
