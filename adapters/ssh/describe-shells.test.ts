/** What is sent means the same to every POSIX shell: run on real ones, where each program writes down how it was called. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import fc from "fast-check";
import { hostileText, hostileWord, mutated, PROGRAM_NAMES } from "../../test/command-arbitraries.ts";
import { POSIX_SHELLS, RecordedShells, sortedCalls } from "../../test/shells.ts";
import { describeCommand, type CommandContext, type DescribedCommand } from "./describe.ts";
import { quote } from "./rebuild.ts";

const shells = new RecordedShells(PROGRAM_NAMES);
afterAll(() => shells[Symbol.dispose]());
const CONTEXT: CommandContext = { login: "u", home: shells.home, shell: "posix", hasPty: false };

/** What the shell itself does with the rest of a command's words. */
const STARTED_BY_SHELL = new Set(["command", "exec"]);

/** The words of each program that a shell should start for what was judged. */
function judgedCalls({ accesses }: DescribedCommand): readonly (readonly string[])[] {
  return sortedCalls(
    accesses.flatMap(({ facts: { argv } }) => {
      if (!Array.isArray(argv)) return [];
      const words: readonly string[] = argv;
      const start = words.findIndex((word) => !STARTED_BY_SHELL.has(word));
      return start === -1 ? [] : [words.slice(start)];
    }),
  );
}

const INSTALLED = Object.entries(POSIX_SHELLS).filter(([, [path = ""]]) => existsSync(path));

for (const [name, [path = ""]] of Object.entries(POSIX_SHELLS)) {
  // Not everybody has all of them, and only root can install them.
  test.skipIf(!existsSync(path))(`${name} is tried`, () => expect(INSTALLED.map(([each]) => each)).toContain(name));
}

describe.each(INSTALLED)("%s", (_, shell) => {
  test("gives quoted words to a program as they were", () => {
    fc.assert(
      fc.property(fc.array(hostileWord, { maxLength: 8 }), (words) => {
        const run = shells.run(shell, ["p1", ...words.map(quote)].join(" "));
        expect(run.calls).toEqual([["p1", ...words]]);
      }),
      { numRuns: 60 },
    );
  }, 240_000);

  test("takes no quoted first word for its own grammar", () => {
    // [[ is a command of busybox's own, however it is written: it is never read.
    for (const word of ["if", "!", "{", "}", "time", "function", "coproc", "case", "for", "while", "repeat", "p 1"]) {
      shells.add(word);
      expect([word, shells.run(shell, `${quote(word)} x`).calls]).toEqual([word, [[word, "x"]]]);
    }
  });
});

test("what differs from shell to shell is not read", () => {
  // Each of these was seen to do other things in one of the shells than in another.
  for (const text of [
    "p1 > a > b",
    "p1 > a | p2",
    "p1 =ls",
    "p1 a=~",
    "> f",
    "p1 &> f",
    "p1 {a,b}",
    "p1 $'x'",
    "p1 !!",
    "p1 ^a",
    "- p1",
    "noglob p1",
    "time p1",
    "p1 |& p2",
    "[[ a ]]",
    "function p1 { p2; }",
    "p1 <<< a",
    "a=1 p1",
    "p1 a#b",
  ]) {
    expect([text, describeCommand(text, CONTEXT).understood]).toEqual([text, false]);
  }
});

test("random texts never throw, and what is understood is read again as it was", () => {
  let understood = 0;
  fc.assert(
    fc.property(hostileText, fc.boolean(), (text, hasPty) => {
      const context = { ...CONTEXT, hasPty };
      const first = describeCommand(text, context);
      if (!first.understood) {
        expect(first.command).toBe(text);
        expect(first.accesses.some(({ opaque }) => opaque === true)).toBe(true);
        return;
      }
      understood++;
      const second = describeCommand(first.command, context);
      expect(second.accesses).toEqual(first.accesses);
      expect(second.command).toBe(first.command);
    }),
    { numRuns: 20_000 },
  );
  expect(understood).toBeGreaterThan(50);
}, 240_000);

const SEEDS = [
  "p1 a 'b c' \"d e\" | p2 -x --y=z",
  "p1 && p2 || p3; p1",
  "systemctl status line-4",
  "sudo -n systemctl restart line-4 > out 2>&1",
  "cat < in | grep -c x",
  "p1 -- '-x' \\; 'it'\\''s'\np2",
  "nice -n 5 timeout 10 p1 a",
  "cd sub && ls -l ~/x; ! p3 b",
  "[ -f in ] && p1 || p2 > sub/x",
  "tar czf a.tgz sub; find . -name 'x*' -print",
  "sed -e 's/a/b/g' in | awk '{print $1}'",
];

/** As many as are tried; `WEIR_FUZZ_TEXTS=200000 bun test adapters/ssh/describe-shells.test.ts` for a long run. */
const TEXTS = Number(process.env["WEIR_FUZZ_TEXTS"] ?? 1_500);
const SEED = Number(process.env["WEIR_FUZZ_SEED"] ?? 20_260_101);

test("programs that changed texts start are those that were judged", () => {
  let state = SEED;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const run = INSTALLED;
  const seen = new Set<string>();
  for (const name of ["sudo", "nice", "timeout"]) shells.add(name);
  for (let count = 0; count < TEXTS; count++) {
    const text = mutated(SEEDS[random(SEEDS.length)] ?? "", random);
    const described = describeCommand(text, CONTEXT);
    if (!described.understood || seen.has(text)) continue;
    seen.add(text);
    const judged = judgedCalls(described).map((call) => JSON.stringify(call));
    const [shellName, shell] = run[seen.size % run.length] ?? ["", []];
    const status = random(2);
    const sent = shells.run(shell, described.command, status).calls;
    for (const call of sent) {
      expect({ shellName, text, judged }).toEqual({
        shellName,
        text,
        judged: expect.arrayContaining([JSON.stringify(call)]),
      });
    }
    // zsh reads some texts in ways of its own; they were written for a shell of POSIX.
    if (shellName !== "zsh") {
      expect({ shellName, text, calls: sent }).toEqual({
        shellName,
        text,
        calls: shells.run(shell, text, status).calls,
      });
    }
  }
  expect(seen.size).toBeGreaterThan(TEXTS / 10);
}, 3_600_000);
