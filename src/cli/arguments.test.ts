/** Reading arguments: what is taken, what is refused and with which words, and that help texts are complete. */
import { describe, expect, test } from "bun:test";
import { readArguments } from "./arguments.ts";
import { UsageError } from "./command.ts";
import type { Command } from "./command.ts";
import { COMMANDS, loadCommands } from "./commands.ts";
import { dispatch } from "./dispatch.ts";
import { commandHelp } from "./help.ts";

const commands = await loadCommands(COMMANDS);

const run = async (): Promise<number> => 0;
const plain: Command = {
  words: ["do"],
  summary: "Do it",
  positionals: [
    { name: "THING", description: "the thing", kind: "required" },
    { name: "OTHER", description: "the other", kind: "optional" },
  ],
  options: [
    { name: "config", letter: "c", value: "FILE", description: "a file" },
    { name: "force", description: "anyway" },
  ],
  notes: [],
  run,
};
const wrapper: Command = {
  ...plain,
  positionals: [
    { name: "THING", description: "the thing", kind: "required" },
    { name: "ARGUMENT", description: "passed on", kind: "rest" },
  ],
};

describe("arguments", () => {
  test("may come in any order, with = or without", () => {
    for (const words of [
      ["a", "--config", "f", "--force", "b"],
      ["--force", "--config=f", "a", "b"],
      ["-c", "f", "--force", "a", "b"],
    ]) {
      const { args } = readArguments(plain, words);
      expect([
        args.text("config"),
        args.flag("force"),
        args.required("THING"),
        args.text("OTHER"),
        args.isJson,
      ]).toEqual(["f", true, "a", "b", false]);
    }
  });

  test("a list takes any number of words, and options among them", () => {
    const lister: Command = {
      ...plain,
      positionals: [
        { name: "THING", description: "the thing", kind: "required" },
        { name: "TARGET", description: "the targets", kind: "list" },
      ],
    };
    const { args } = readArguments(lister, ["a", "b", "--force", "c", "--", "--d"]);
    expect([args.required("THING"), args.rest, args.flag("force")]).toEqual(["a", ["b", "c", "--d"], true]);
    expect(readArguments(lister, ["a"]).args.rest).toEqual([]);
    expect(commandHelp(lister)).toContain("THING [TARGET...]");
  });

  test("after -- are no options", () => {
    const { args } = readArguments(plain, ["--", "--force", "-x"]);
    expect([args.required("THING"), args.text("OTHER"), args.flag("force")]).toEqual(["--force", "-x", false]);
  });

  test("may be named by their letter, once", () => {
    expect(() => readArguments(plain, ["a", "-c", "f", "--config", "g"])).toThrow("--config stands there twice");
    expect(commandHelp(plain)).toContain("\n  -c, --config FILE  a file\n");
  });

  test("of a program that weir runs are left alone", () => {
    const { args, isHelp } = readArguments(wrapper, ["--json", "t", "-c", "select 1", "--help", "--", "--json"]);
    expect(args.rest).toEqual(["-c", "select 1", "--help", "--", "--json"]);
    expect([args.isJson, isHelp]).toEqual([true, false]);
  });

  test("may be empty values", () => {
    expect(readArguments(plain, ["a", "--config", ""]).args.text("config")).toBe("");
    expect(readArguments(plain, ["a", "--config="]).args.text("config")).toBe("");
  });

  const refused: readonly [words: string[], message: string][] = [
    [[], "THING is missing: the thing"],
    [["a", "b", "c"], "there is one argument too many: c"],
    [["a", "--frce"], 'there is no option --frce; did you mean "--force"?'],
    [["a", "-f"], "there is no option -f; there is --config, --force, --json, --help"],
    [["a", "--config"], "--config needs a value: --config FILE"],
    [["a", "--force=1"], "--force takes no value"],
    [["a", "--force", "--force"], "--force stands there twice"],
    [["a", "--config", "x", "--config", "y"], "--config stands there twice"],
    [["a", "--toString"], "there is no option --toString; there is --config, --force, --json, --help"],
  ];
  for (const [words, message] of refused) {
    test(`are refused: ${words.join(" ")}`, () => {
      expect(() => readArguments(plain, words)).toThrow(new UsageError(message));
    });
  }

  test("that ask for help need nothing else", () => {
    expect(readArguments(plain, ["--help"]).isHelp).toBe(true);
    expect(readArguments(plain, ["-h"]).isHelp).toBe(true);
  });
});

describe("help", () => {
  for (const [index, command] of commands.entries()) {
    test(`of weir ${command.words.join(" ")} names all of it`, () => {
      const help = commandHelp(command);
      expect([command.words]).toEqual(COMMANDS.slice(index, index + 1).map(({ words }) => words));
      expect(help).toStartWith(`Usage: weir ${command.words.join(" ")}`);
      for (const { name, description } of [...command.positionals, ...command.options]) {
        expect(help).toContain(name);
        expect(help).toContain(description);
      }
      expect(help).toContain("--json");
      expect(help).toContain("--help");
      expect(Math.max(...help.split("\n").map((line) => line.length))).toBeLessThanOrEqual(150);
    });
  }

  test("lists every command", async () => {
    const out: string[] = [];
    const terminal = {
      out: (line: string) => void out.push(line),
      err: () => undefined,
      progress: () => undefined,
      env: {},
      write: () => {},
      ready: async () => {},
      isTerminal: false,
    };
    expect(await dispatch(COMMANDS, ["--help"], terminal)).toBe(0);
    for (const command of COMMANDS) expect(out.join("\n")).toContain(`  ${command.words.join(" ")} `);
  });
});
