/** The policy folder: what is read, what is refused, and that nothing is overlooked. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { problemsOf } from "../../../test/policy-problems.ts";
import { rulesFile, setOf, TARGETS, TINY, withFolder } from "../../../test/policy-sets.ts";
import { checkPolicies } from "../check.ts";
import { formatProblem } from "../problems.ts";
import { readListed } from "./folder.ts";

const PERMIT = rulesFile(
  "Permits",
  "  - id: one\n    subject: { kinds: [human] }\n    target: { names: [box] }\n    action: { tiny: { verbs: [get] } }",
);

describe("the folder:", () => {
  test("its folder `examples` holds other sets; one of that name further down does not", async () => {
    const broken = rulesFile("Permits", "  - id: broken");
    const files = setOf({ "permits/one.yaml": PERMIT, "examples/shop/permits/broken.yaml": broken });
    expect(await problemsOf(files)).toEqual([]);
    const problems = await problemsOf({ ...files, "permits/examples/broken.yaml": broken });
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.every((line) => line.startsWith("permits/examples/broken.yaml"))).toBe(true);
  });

  test("one that is not there, and one that is a file", async () => {
    await withFolder({ policies: "a file" }, async (dir) => {
      for (const name of ["nowhere", "policies"]) {
        const [problem, ...more] = await checkPolicies(join(dir, name), [TINY], TARGETS);
        expect(problem).toMatchObject({ severity: "error", code: "UNREADABLE", file: "." });
        expect(more).toEqual([]);
      }
    });
  });

  test("a link within it is followed, one that leads out is an error", async () => {
    await withFolder({ "outside.yaml": PERMIT }, async (outside) => {
      const problems = await problemsOf(setOf({ "..data/permits.yaml": PERMIT }), (dir) => {
        mkdirSync(join(dir, "permits"));
        symlinkSync("../..data/permits.yaml", join(dir, "permits/inside.yaml"));
        symlinkSync(join(outside, "outside.yaml"), join(dir, "permits/outside.yaml"));
        symlinkSync("gone.yaml", join(dir, "permits/dangling.yaml"));
        symlinkSync(".", join(dir, "permits/round"));
        symlinkSync("..", join(dir, "permits/up"));
      });
      expect(problems).toContain(
        "permits/outside.yaml error UNREADABLE this is a symbolic link that leads out of the policy folder",
      );
      expect(problems).toContain("permits/dangling.yaml error UNREADABLE this cannot be read: ENOENT");
      expect(problems.filter((line) => line.startsWith("permits/inside.yaml"))).toEqual([]);
      expect(problems).toContain(
        "permits/up error UNREADABLE this is a symbolic link that leads out of the policy folder",
      );
      expect(problems.some((line) => line.startsWith("permits/round/") && line.includes("TOO_LARGE"))).toBe(true);
    });
  });

  test("files that would be overlooked are errors", async () => {
    const problems = await problemsOf(
      setOf({ "guards/a.yml": "", "guards/b.YAML": "", "guards/c.json": "", "guards/d.md": "" }),
    );
    expect(problems.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "guards/a.yml error WRONG_FOLDER",
      "guards/b.YAML error WRONG_FOLDER",
      "guards/c.json error WRONG_FOLDER",
    ]);
  });

  test("a name that could forge a line of output is escaped", async () => {
    const [line, ...more] = await problemsOf(setOf({ "permits/a\nb: error.yaml": "x" }));
    expect(line).toBe(
      "permits/a\ufffdb: error.yaml error UNREADABLE the name of the file holds a character that cannot be shown",
    );
    expect(more).toEqual([]);
  });

  test("what is not a plain file is never opened", async () => {
    const problems = await problemsOf(setOf({}), (dir) => {
      mkdirSync(join(dir, "permits"));
      const made = Bun.spawnSync(["mkfifo", join(dir, "permits/pipe.yaml")]);
      expect(made.exitCode).toBe(0);
    });
    expect(problems).toEqual(["permits/pipe.yaml error UNREADABLE this is not a plain file"]);
  });

  test("files of the catalog are JSON, and may be larger", async () => {
    const file = (name: string, things: number): string => {
      const names = { things: Array.from({ length: things }, (_, index) => `thing.number-${index}`) };
      return JSON.stringify({ apiVersion: "weir.dev/v1", kind: "Catalog", name, adapter: "tiny", names });
    };
    const large = file("box", 20_000);
    expect(large.length).toBeGreaterThan(400_000);
    expect(await problemsOf(setOf({ "catalog/box.json": large }))).toEqual([]);
    const [problem, ...more] = await problemsOf(
      setOf({
        "catalog/box.json": `${" ".repeat(16_777_216)}{}`,
        "catalog/bag.yaml": "x",
        "catalog/bag.json.bak": "x",
      }),
    );
    expect(problem).toBe(
      "catalog/bag.yaml error WRONG_FOLDER no policy file belongs here. Policy files are policy.yaml, vocabulary.yaml, permits/, guards/, tests/",
    );
    expect(more).toEqual(["catalog/box.json error TOO_LARGE the file is larger than 16777216 bytes"]);
  });

  test("has limits", async () => {
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`permits/${index}.yaml`, "x"]));
    expect(await problemsOf(setOf(many))).toContain(". error TOO_LARGE the set has more than 1000 files");
    expect(await problemsOf(setOf({ "permits/a.yaml": `# ${"x".repeat(131_072)}` }))).toEqual([
      "permits/a.yaml error TOO_LARGE the file is larger than 131072 bytes. Split it",
    ]);
    const deep = `permits/${"a/".repeat(9)}b.yaml`;
    expect(await problemsOf(setOf({ [deep]: "x" }))).toEqual([
      "permits/a/a/a/a/a/a/a/a error TOO_LARGE folders are nested deeper than 8 levels",
    ]);
  });
});

test("a file that cannot be read is told, and what was found before stays told", async () => {
  const gone = { path: "guards/a.yaml", sizeBytes: 1, read: () => Promise.reject(new Error("the disk is gone")) };
  const there = { path: "guards/b.yaml", sizeBytes: 1, read: async () => new Uint8Array([120]) };
  const once = await readListed("/policies", [gone, there], []);
  expect(once.problems.map(formatProblem)).toEqual([
    "guards/a.yaml error UNREADABLE the file cannot be read: the disk is gone",
  ]);
  expect(once.files.map(({ path }) => path)).toEqual(["guards/b.yaml"]);
  expect((await readListed("/policies", [gone], once.problems)).problems).toHaveLength(2);
});
