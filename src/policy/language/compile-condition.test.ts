/** Conditions in policy files: what is wrong with one has its place, and what matchers could say is pointed out. */
import { expect, test } from "bun:test";
import { problemsOf } from "../../../test/policy-problems.ts";
import { rulesFile, setOf } from "../../../test/policy-sets.ts";

/** The problems of a guard with this condition, written as YAML. */
function ofGuard(condition: string, more = ""): Promise<readonly string[]> {
  const rules = `  - id: g\n    action: { tiny: {} }\n    condition: ${condition}\n${more}    deny: No.\n`;
  return problemsOf(setOf({ "guards/a.yaml": rulesFile("Guards", rules) }));
}

test("what is wrong with a condition is said with its place", async () => {
  const wrong = 'error BAD_CONDITION subject has no "nme"';
  const suggestion = '. Did you mean "name"?';
  const said = 'subject.nme.startsWith("x")';
  expect(await ofGuard(said)).toEqual([`guards/a.yaml:6:24 ${wrong}${suggestion}`]);
  expect(await ofGuard(`'${said}'`)).toEqual([`guards/a.yaml:6:25 ${wrong}${suggestion}`]);
  expect(await ofGuard(`|\n\n      access.wide &&\n       ${said}\n`)).toEqual([
    `guards/a.yaml:9:16 ${wrong}${suggestion}`,
  ]);
  // What is folded or has escapes is not written as it is read.
  const about = (place: string) => [`guards/a.yaml:6:16 ${wrong} (${place} of the condition)${suggestion}`];
  expect(await ofGuard(`>\n      access.wide &&\n      ${said}`)).toEqual(about("line 1, column 24"));
  expect(await ofGuard(JSON.stringify(said))).toEqual(about("line 1, column 9"));
  expect(await ofGuard("access.wide")).toEqual([]);
});

test("only keys of the adapters that the action is about are there", async () => {
  expect(await ofGuard(`'"/etc" in access.paths'`)).toEqual([
    'guards/a.yaml:6:34 error BAD_CONDITION access has no "paths". Did you mean "parts"?',
  ]);
});

test("the condition of an exception is about what the exception says of the action, else about the guard's", async () => {
  const except = (written: string) => `    except: [{ ${written}, reason: Because. }]\n`;
  expect(await ofGuard("access.wide", except("condition: '\"/etc\" in access.paths', action: { other: {} }"))).toEqual(
    [],
  );
  expect(await ofGuard("access.wide", except("condition: access.wide, action: { other: {} }"))).toEqual([
    'guards/a.yaml:7:34 error BAD_CONDITION access has no "wide". There is class, paths',
  ]);
  expect(await ofGuard("access.wide", except("condition: '!access.wide'"))).toEqual([]);
  expect(await ofGuard("access.wide", except("condition: access.wyde"))).toEqual([
    'guards/a.yaml:7:34 error BAD_CONDITION access has no "wyde". Did you mean "wide"?',
  ]);
});

test("conditions see the author's names of groups", async () => {
  expect(await ofGuard(`'"devs" in subject.groups && access.wide'`)).toEqual([]);
  expect(await ofGuard(`'"dev" in subject.groups && access.wide'`)).toEqual([
    'guards/a.yaml:6:17 error BAD_CONDITION "dev" is never it. Did you mean "devs"?',
  ]);
});

test("what matchers could say is a warning", async () => {
  const warning = "warning CONDITION_COULD_BE_MATCHERS the condition says what matchers could say.";
  expect(await ofGuard('target.labels.env == "prod" && subject.kind == "agent"')).toEqual([
    `guards/a.yaml:6:5 ${warning} Write target.labels.env and subject.kinds instead`,
  ]);
  expect(await ofGuard('now >= timestamp("2027-01-01T00:00:00Z")')).toEqual([
    `guards/a.yaml:6:5 ${warning} Write validFrom instead`,
  ]);
});

test("an exception has no validFrom", async () => {
  const except = (condition: string) => `    except: [{ condition: '${condition}', reason: Because. }]\n`;
  expect(await ofGuard("access.wide", except('now >= timestamp("2027-01-01T00:00:00Z")'))).toEqual([]);
  expect(await ofGuard("access.wide", except('now < timestamp("2027-01-01T00:00:00Z")'))).toEqual([
    "guards/a.yaml:7:16 warning CONDITION_COULD_BE_MATCHERS the condition says what matchers could say. Write validUntil instead",
  ]);
});
