/** What README.md and docs/ show can be done: commands exist with their options, links lead somewhere, excerpts are real. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { POSTGRES_VOCABULARY } from "../../adapters/postgres/vocabulary.ts";
import { readArguments } from "../../src/cli/arguments.ts";
import { COMMANDS, loadCommands } from "../../src/cli/commands.ts";
import { checkPolicies } from "../../src/policy/check.ts";
import { withFolder } from "../policy-sets.ts";
import { fences, fileLinks, pagePaths, readPage } from "./pages.ts";

const ROOT = join(import.meta.dir, "../..");
const commands = await loadCommands(COMMANDS);

/** Every call of weir in the pages' shell blocks, as its words. */
function callsOf(page: string): readonly (readonly string[])[] {
  return fences(page)
    .filter(({ language }) => language === "sh")
    .flatMap(({ text }) => text.split("\n"))
    .flatMap((line) => /(?:^|[ (])weir ([^#)]*)/u.exec(line)?.[1] ?? [])
    .map((words) => [...words.matchAll(/'[^']*'|\S+/gu)].map((match) => match[0]));
}

for (const path of pagePaths()) {
  describe(path, () => {
    test("calls commands as they are", () => {
      for (const words of callsOf(readPage(path))) {
        const command = commands.find((each) => each.words.every((word, index) => words[index] === word));
        if (command === undefined) throw new Error(`there is no weir ${words.join(" ")}`);
        expect(() => readArguments(command, words.slice(command.words.length))).not.toThrow();
      }
    });

    test("calls ./dev as it is", () => {
      const usage = Bun.spawnSync([join(ROOT, "dev"), "help"]).stdout.toString();
      for (const [, command = "", name = ""] of readPage(path).matchAll(/\.\/dev ([a-z]+)(?: ([a-z]+))?/gu)) {
        expect(usage).toMatch(new RegExp(`^ {2}${command}\\b`, "mu"));
        if (command === "bench" && name !== "") expect(existsSync(join(ROOT, `bench/${name}.ts`))).toBe(true);
      }
    });

    test("links to what is there", () => {
      const missing = fileLinks(readPage(path)).filter((link) => !existsSync(join(ROOT, dirname(path), link)));
      expect(missing).toEqual([]);
    });
  });
}

test("calls were found", () =>
  expect(pagePaths().flatMap((path) => callsOf(readPage(path))).length).toBeGreaterThan(15));

test("docs/command-line.md names every command with its options", () => {
  const page = readPage("docs/command-line.md");
  const missing = commands.flatMap(({ words, options }) => {
    const row = page.split("\n").find((line) => line.startsWith("|") && line.includes(`weir ${words.join(" ")}`));
    // Two commands may share a row: `weir schema config\\|policy`.
    const shared = page
      .split("\n")
      .find((line) => line.includes(`weir ${words[0]} `) && line.includes(words.at(-1) ?? ""));
    const found = row ?? shared;
    if (found === undefined) return [words.join(" ")];
    // What every command that reads the configuration has is said once.
    const own = options.filter(({ name }) => name !== "config" && !found.includes(`--${name}`));
    return own.map(({ name }) => `${words.join(" ")} --${name}`);
  });
  expect(missing).toEqual([]);
});

describe("README.md", () => {
  const page = readPage("README.md");

  test("shows what the demo says", () => {
    const tour = readFileSync(join(ROOT, "src/cli/demo.test.ts"), "utf8");
    const shown = fences(page).filter(({ text }) => /^(The agent |What the log )/u.test(text));
    expect(shown).toHaveLength(3);
    for (const { text } of shown) {
      const steady = text
        .replaceAll(/\b[0-9a-f]{64}\b/gu, "HASH")
        .replaceAll(/\bid [\dA-Z]+-[\dA-Z]+/gu, "id ID")
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z {2}#\d+/gu, "TIME  #N");
      const [heading = "", ...lines] = steady.split("\n");
      expect(tour).toContain(heading);
      expect(tour).toContain(lines.join("\n"));
    }
  });

  test("shows policies that are a set", async () => {
    const files = Object.fromEntries(
      fences(page)
        .filter(({ language }) => language === "yaml")
        .map(({ text }) => [text.slice(2, text.indexOf("\n")), text]),
    );
    expect(Object.keys(files)).toEqual(["permits/agents.yaml", "guards/agents.yaml"]);
    const set = {
      ...files,
      "policy.yaml": "apiVersion: weir.dev/v1\nkind: PolicySet\nname: readme\n",
      "vocabulary.yaml": "apiVersion: weir.dev/v1\nkind: Vocabulary\ngroups: { agents: agents }\n",
    };
    const shop = { name: "shop", adapter: "postgres", labels: {}, settings: null };
    await withFolder(set, async (dir) => expect(await checkPolicies(dir, [POSTGRES_VOCABULARY], [shop])).toEqual([]));
  });
});
