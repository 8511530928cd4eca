/** What shells call their own: everything that a shell would take for a command or grammar of its own is known here. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { POSIX_SHELLS, RecordedShells } from "../../test/shells.ts";
import { describeCommand, type CommandContext } from "./describe.ts";
import { quote, RESERVED_WORDS } from "./rebuild.ts";

const CONTEXT: CommandContext = { login: "u", home: "/srv/u", shell: "posix", hasPty: false };

/** They do what they say with words that are only words, in the uses that are read; the others of these are refused. */
const READ_BUILTINS = new Set(": [ cd command echo exec exit false kill printf pwd test true type which".split(" "));

function isInstalled([path = ""]: readonly string[] = []): boolean {
  return existsSync(path);
}

function listed(shell: string, list: string): readonly string[] {
  const done = Bun.spawnSync([...(POSIX_SHELLS[shell] ?? []), list]);
  const names = done.stdout
    .toString()
    .split(/\s+/u)
    .filter((name) => name !== "");
  expect(names.length).toBeGreaterThan(20);
  return names;
}

describe("a shell's own commands are opaque, or known to be harmless as they are used", () => {
  for (const [shell, list] of [
    ["bash", "compgen -b"],
    ["zsh", "zmodload zsh/parameter; print -l ${(k)builtins}"],
    ["busybox", "help | tail -n +2"],
  ] as const) {
    // Not everybody has all of them, and only root can install them.
    test.skipIf(!isInstalled(POSIX_SHELLS[shell]))(shell, () => {
      for (const name of listed(shell, list)) {
        if (READ_BUILTINS.has(name)) continue;
        expect([name, describeCommand(`${quote(name)} x`, CONTEXT).understood]).toEqual([name, false]);
      }
    });
  }

  test("dash", () => {
    // It lists none; these are those of its manual.
    const names =
      ". : alias bg cd chdir command echo eval exec exit export false fc fg getopts hash jobs kill local printf pwd read " +
      "readonly return set shift test times trap true type ulimit umask unalias unset wait [ break continue";
    for (const name of names.split(" ")) {
      if (READ_BUILTINS.has(name)) continue;
      expect([name, describeCommand(`${quote(name)} x`, CONTEXT).understood]).toEqual([name, false]);
    }
  });
});

for (const [shell, list] of [
  ["bash", "compgen -k"],
  ["zsh", "zmodload zsh/parameter; print -l $reswords"],
] as const) {
  // Not everybody has zsh, and only root can install it.
  test.skipIf(!isInstalled(POSIX_SHELLS[shell]))(
    `reserved words of ${shell} are quoted where they name a command`,
    () => {
      for (const word of listed(shell, list)) expect([word, RESERVED_WORDS.has(word)]).toEqual([word, true]);
    },
  );
}

describe("words that shells of other kinds read in their own way", () => {
  const FOREIGN: Readonly<Record<string, readonly string[]>> = {
    fish: ["/usr/bin/fish", "--no-config", "-c"],
    tcsh: ["/usr/bin/tcsh", "-f", "-c"],
  };
  // In single quotes, where a POSIX shell takes every character as it is.
  const WORDS: Readonly<Record<string, readonly string[]>> = {
    fish: ["a\\\\b", "\\"],
    tcsh: ["a!b", "!x"],
  };

  for (const [name, shell] of Object.entries(FOREIGN))
    // Not everybody has them, and only root can install them.
    test.skipIf(!isInstalled(shell))(`${name} does, so a target that does not declare its shell runs nothing`, () => {
      using shells = new RecordedShells(["p1"]);
      expect(shells.run(shell, "p1 'plain words'").calls).toEqual([["p1", "plain words"]]);
      for (const word of WORDS[name] ?? []) {
        const text = `p1 ${quote(word)}`;
        expect([text, shells.run(POSIX_SHELLS["dash"] ?? [], text).calls]).toEqual([text, [["p1", word]]]);
        expect([text, shells.run(shell, text).calls]).not.toEqual([text, [["p1", word]]]);
        expect(describeCommand(text, { ...CONTEXT, shell: null }).understood).toBe(false);
      }
    });
});
