/** The rules of the house hold in this tree, and each of them is seen to fail on a tree that breaks it. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findings, type Tree } from "./tidy/findings.ts";

const ROOT = join(import.meta.dir, "..");

test("this tree keeps the rules of the house", () => {
  const lines = findings(readTree(), productDependencies()).map(
    ({ path, line, message }) => `${path}:${line}: ${message}`,
  );
  expect(lines).toEqual([]);
}, 240_000);

test("this tree was really read", () => {
  const paths = [...readTree().keys()];
  for (const path of ["src/core/ports.ts", "test/tidy.test.ts", "package.json", "dev"]) expect(paths).toContain(path);
});

/** Files of a fake tree that breaks nothing. */
const SOUND: Readonly<Record<string, string>> = {
  "src/core/session.ts": "/** A session. */\nexport type Session = string;\n",
  "src/policy/decide.ts":
    '/** Decides. */\nimport type { Session } from "../core/session.ts";\nexport const a: Session = "";\n',
  "src/gate/gate.ts": "/** The road. */\nexport const gate = 1;\nexport type Gate = number;\n",
};

/** What a tree with these files beside the sound ones is found guilty of. */
function guilty(files: Readonly<Record<string, string>>): readonly string[] {
  const tree: Tree = new Map(Object.entries({ ...SOUND, ...files }));
  return findings(tree, new Set(["valibot"])).map(({ path, line, message }) => `${path}:${line}: ${message}`);
}

test("a sound tree has no findings", () => {
  expect(guilty({})).toEqual([]);
});

describe("a planted bad import is found, however it is written", () => {
  const ways: Readonly<Record<string, string>> = {
    static: 'import { gate } from "../gate/gate.ts";\nexport const b = gate;',
    "type-only": 'import type { Gate } from "../gate/gate.ts";\nexport type B = Gate;',
    "inline type": 'import { type Gate } from "../gate/gate.ts";\nexport type B = Gate;',
    "side effect": 'import "../gate/gate.ts";',
    "re-export": 'export { gate } from "../gate/gate.ts";',
    "re-export of types": 'export type { Gate } from "../gate/gate.ts";',
    "re-export of all": 'export * from "../gate/gate.ts";',
    "type query": 'export type B = import("../gate/gate.ts").Gate;',
    dynamic: 'export const b = await import("../gate/gate.ts");',
    "dynamic with a template": "export const b = await import(`../gate/gate.ts`);",
    require: 'export const b = require("../gate/gate.ts");',
    "import.meta.require": 'export const b = import.meta.require("../gate/gate.ts");',
    "import equals": 'import gate = require("../gate/gate.ts");\nexport const b = gate;',
    "worker by URL": 'export const b = new Worker(new URL("../gate/gate.ts", import.meta.url));',
    "worker by path": 'export const b = new Worker("../gate/gate.ts");',
    "path in a constant": 'const path = "../gate/gate.ts";\nexport const b = await import(path);',
    reference: '/// <reference path="../gate/gate.ts" />',
    detour: 'import { gate } from "../policy/../gate/gate.ts";\nexport const b = gate;',
  };
  for (const [way, code] of Object.entries(ways)) {
    test(way, () => {
      const found = guilty({ "src/policy/bad.ts": `/** Bad. */\n${code}\n` });
      expect(found.join("\n")).toContain(
        "src/policy/bad.ts:2: imports src/gate/gate.ts: src/policy may import src/core, src/wire and itself",
      );
    });
  }
});

describe("the arrows", () => {
  const adapter = (name: string): Record<string, string> =>
    Object.fromEntries(
      ["adapter", "listen", "conversation", "describe", "upstream", "replies", "refuse"].map((file) => [
        `adapters/${name}/${file}.ts`,
        "/** A part. */\n",
      ]),
    );
  const base: Readonly<Record<string, string>> = {
    ...adapter("one"),
    ...adapter("two"),
    "adapters/one/README.md": "",
    "adapters/two/README.md": "",
    "adapters/index.ts": '/** The list. */\nimport "./one/adapter.ts";\nimport "./two/adapter.ts";\n',
    "src/wire/reader.ts": "/** Reads. */\n",
    "src/config/load.ts": "/** Loads. */\n",
    "src/cli/main.ts": '/** Commands. */\nimport "../gate/gate.ts";\nimport "../../adapters/index.ts";\n',
    "test/servers/postgres.ts": "/** A server. */\n",
    "bench/postgres.ts": '/** Measures. */\nimport "../test/servers/postgres.ts";\nimport "../src/gate/gate.ts";\n',
  };

  test("hold in a sound tree of every part", () => {
    expect(guilty(base)).toEqual([]);
  });

  const broken: readonly (readonly [from: string, to: string])[] = [
    ["src/core/bad.ts", "../gate/gate.ts"],
    ["src/core/bad.ts", "../wire/reader.ts"],
    ["src/wire/bad.ts", "../core/session.ts"],
    ["src/gate/bad.ts", "../policy/decide.ts"],
    ["src/config/bad.ts", "../wire/reader.ts"],
    ["src/policy/bad.ts", "../config/load.ts"],
    ["src/policy/bad.test.ts", "../gate/gate.ts"],
    ["adapters/one/bad.ts", "../two/refuse.ts"],
    ["adapters/one/bad.ts", "../../src/gate/gate.ts"],
    ["adapters/one/protocol/bad.ts", "../../../src/dial/direct.ts"],
    ["src/cli/bad.ts", "../../test/servers/postgres.ts"],
    ["src/gate/bad.ts", "../policy/decide.test.ts"],
    ["src/cli/bad.ts", "../../bench/postgres.ts"],
  ];
  for (const [from, to] of broken) {
    test(`${from} must not import ${to}`, () => {
      const found = guilty({
        ...base,
        "src/dial/direct.ts": "/** Dials. */\n",
        "src/policy/decide.test.ts": "/** Tests. */\n",
        [from]: `/** Bad. */\nimport "${to}";\n`,
      });
      expect(found).toHaveLength(1);
      expect(found[0]).toStartWith(`${from}:2: imports `);
    });
  }

  test("tests may import the fixtures, and the foundation's tests packages", () => {
    const text = '/** Tests. */\nimport "../../test/servers/postgres.ts";\nimport "bun:test";\nimport "fast-check";\n';
    expect(guilty({ ...base, "src/core/session.test.ts": text })).toEqual([]);
  });

  test("an adapter lacks a file, or is not listed", () => {
    const found = guilty({ ...base, "adapters/three/adapter.ts": "/** A part. */\n" }).join("\n");
    expect(found).toContain("adapters/index.ts:1: does not list the adapter three");
    expect(found).toContain("adapters/three:1: an adapter has a describe.ts");
  });
});

describe("a protocol that has only its words yet", () => {
  const words = {
    "adapters/three/vocabulary.ts": "/** Words. */\n",
    "adapters/three/README.md": "",
    "adapters/index.ts": '/** The list. */\nimport "./three/vocabulary.ts";\n',
  };

  test("is a vocabulary and a README, and listed", () => {
    expect(guilty(words)).toEqual([]);
    expect(guilty({ ...words, "adapters/index.ts": "/** The list. */\n" })).toEqual([
      "adapters/index.ts:1: does not list the vocabulary three",
    ]);
    const { "adapters/three/README.md": _, ...without } = words;
    expect(guilty(without)).toEqual(["adapters/three:1: a vocabulary has a README.md"]);
  });

  test("is no excuse for an adapter without its files", () => {
    expect(guilty({ ...words, "adapters/three/adapter.ts": "/** A part. */\n" })).toContain(
      "adapters/three:1: an adapter has a describe.ts",
    );
  });
});

describe("each rule about a file is seen to fail", () => {
  const cases: readonly (readonly [name: string, path: string, text: string, message: string])[] = [
    ["no sentence", "src/policy/a.ts", "export const a = 1;\n", "opens with one sentence"],
    ["not a sentence", "src/policy/a.ts", "/** policy */\n", "opens with one sentence"],
    ["an empty name", "src/policy/utils.ts", "/** Things. */\n", "names no subject"],
    ["an empty folder name", "src/policy/helpers/a.ts", "/** Things. */\n", "names no subject"],
    ["no such place", "src/stuff/a.ts", "/** Things. */\n", "no place"],
    ["a new top-level entry", "scripts/a.sh", "", "no top-level scripts"],
    ["unfinished work", "src/policy/a.ts", "/** A. */\n// TODO: later\n", "finish it"],
    ["a rule switched off", "src/policy/a.ts", "/** A. */\n// oxlint-disable-next-line no-var\n", "without a reason"],
    ["a focused test", "test/a.test.ts", '/** A. */\ntest.only("a", () => {});\n', "hides every other test"],
    ["a focused group", "test/a.test.ts", '/** A. */\ndescribe.only("a", () => {});\n', "hides every other test"],
    ["a focused test, deeper", "test/a.test.ts", '/** A. */\n\ntest.concurrent.only("a");\n', "hides every other test"],
    ["a skipped test", "test/a.test.ts", '/** A. */\n\ntest.skip("a", () => {});\n', "needs a comment with the reason"],
    [
      "a test skipped if",
      "test/a.test.ts",
      '/** A. */\n\ntest.skipIf(true)("a");\n',
      "needs a comment with the reason",
    ],
    ["a machine path", "docs/a.md", ["see /home", "ann", "weir"].join("/"), "a path of one machine"],
    ["a registry", "docs/a.md", ["https://registry", "npmjs", "org/bun"].join("."), "names a package registry"],
    ["a regular expression", "src/policy/a.ts", "/** A. */\nexport const a = /a+/u;\n", "fail open"],
    ["its constructor", "src/policy/a.ts", '/** A. */\nexport const a = new RegExp("a");\n', "fail open"],
    ["a string that becomes one", "src/policy/a.ts", '/** A. */\nexport const a = "".match("a");\n', "fail open"],
    ["a package in the core", "src/core/a.ts", '/** A. */\nimport "valibot";\n', "imports nothing from outside"],
    ["the runtime in the core", "src/core/a.ts", '/** A. */\nimport "node:fs";\n', "imports nothing from outside"],
    ["a package for tests", "src/policy/a.ts", '/** A. */\nimport "fast-check";\n', "not among the dependencies"],
    ["an absolute import", "src/policy/a.ts", '/** A. */\nimport "/opt/a.ts";\n', "import by relative path"],
    ["a computed import", "src/policy/a.ts", '/** A. */\nawait import("./" + "a");\n', "cannot be checked"],
    ["a computed worker", "src/policy/a.ts", "/** A. */\nnew Worker(globalThis.name);\n", "cannot be checked"],
    ["what cannot be parsed", "src/policy/a.ts", "/** A. */\nconst = ;\n", "cannot be parsed"],
  ];
  for (const [name, path, text, message] of cases) {
    test(name, () => expect(guilty({ [path]: text }).join("\n")).toContain(message));
  }

  test("a reason excuses a skipped test", () => {
    const text = '/** A. */\n// The server is too old for it.\ntest.skipIf(true)("a", () => {});\n';
    expect(guilty({ "test/a.test.ts": text })).toEqual([]);
  });

  test("the runtime, a dependency and its subpath are welcome", () => {
    const text = '/** A. */\nimport "node:fs";\nimport "bun:sqlite";\nimport "valibot";\nimport "valibot/x";\n';
    expect(guilty({ "src/policy/a.ts": text })).toEqual([]);
  });
});

/** All files that belong to the project: what .gitignore names is left out. */
function readTree(): Tree {
  const ignored = readFileSync(join(ROOT, ".gitignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "");
  const isIgnored = (name: string): boolean =>
    name === ".git" ||
    ignored.some((line) => line === name || line === `${name}/` || `*.${name.split(".").at(-1)}` === line);
  const tree = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
      if (isIgnored(entry.name)) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile()) tree.set(path, readFileSync(join(ROOT, path), "utf8"));
    }
  };
  walk("");
  return tree;
}

function productDependencies(): ReadonlySet<string> {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  if (typeof manifest !== "object" || manifest === null || !("dependencies" in manifest)) return new Set();
  return new Set(Object.keys(manifest.dependencies ?? {}));
}
