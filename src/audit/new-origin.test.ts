/** A log whose end is gone is set aside whole, wherever the start is cut short, and the next one has a name of its own. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beginNewOrigin, finishNewOrigin, forgetNewOrigin, seenWords } from "./new-origin.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-new-origin-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const OLD = { origin: "g", size: 3, root: "00" };
const SEEN = [{ where: "the witness w", size: 5 }];
const FILES = ["keys/log.key", "log.vkey", "search.db", "search.db-wal", "audit.db-wal", "audit.db-shm", "audit.db"];

function fill(what: string): void {
  mkdirSync(join(folder, "keys"), { recursive: true });
  for (const name of FILES) writeFileSync(join(folder, name), what);
  writeFileSync(join(folder, "identity.db"), "stays");
}

/** What lies in the folder set aside, and what each file holds. */
function aside(name: string): Record<string, string> {
  const path = join(folder, name);
  return Object.fromEntries(readdirSync(path).map((each) => [each, readFileSync(join(path, each), "utf8")]));
}

const ALL_OLD = Object.fromEntries(FILES.map((name) => [name.replace("keys/", ""), "old"]));

test("nothing happens without a mark", () => {
  fill("old");
  expect(finishNewOrigin(folder)).toBeNull();
  expect(readFileSync(join(folder, "audit.db"), "utf8")).toBe("old");
});

test("the log goes aside with its key and what was built from it; the rest stays", () => {
  fill("old");
  beginNewOrigin(folder, "g", OLD, SEEN);
  expect(finishNewOrigin(folder)).toEqual({
    oldOrigin: "g",
    oldSize: 3,
    oldRoot: "00",
    seen: ["the witness w has seen 5 entries of g; here it has 3"],
    newOrigin: "g/2",
    aside: "audit.lost-2",
    isMoved: true,
  });
  expect(aside("audit.lost-2")).toEqual(ALL_OLD);
  expect(FILES.filter((name) => existsSync(join(folder, name)))).toEqual([]);
  expect(existsSync(join(folder, "identity.db"))).toBeTrue();
  forgetNewOrigin(folder);
  expect(finishNewOrigin(folder)).toBeNull();
});

test("a start that was cut short anywhere is finished, and never takes the new log for the old one", () => {
  for (let moved = 0; moved <= FILES.length; moved++) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    fill("old");
    beginNewOrigin(folder, "g", OLD, SEEN);
    mkdirSync(join(folder, "audit.lost-2"));
    for (const name of FILES.slice(0, moved)) {
      renameSync(join(folder, name), join(folder, "audit.lost-2", name.replace("keys/", "")));
    }
    finishNewOrigin(folder);
    // The new log is there, and the mark too: it was cut short before the new log said what it follows.
    fill("new");
    expect(finishNewOrigin(folder)?.newOrigin).toBe("g/2");
    expect(aside("audit.lost-2")).toEqual(ALL_OLD);
    expect(readFileSync(join(folder, "audit.db"), "utf8")).toBe("new");
    expect(readFileSync(join(folder, "keys", "log.key"), "utf8")).toBe("new");
  }
});

describe("the new origin", () => {
  const cases: readonly (readonly [origin: string, there: readonly string[], expected: string])[] = [
    ["g", [], "g/2"],
    ["g/2", [], "g/3"],
    ["g/9", ["audit.lost-2"], "g/10"],
    ["g", ["audit.lost-2", "audit.lost-7", "audit.lost-x"], "g/8"],
    ["another", [], "g/2"],
    ["g/x", [], "g/2"],
  ];
  for (const [origin, there, expected] of cases) {
    test(`after ${origin}${there.length === 0 ? "" : ` beside ${there.join(", ")}`} is ${expected}`, () => {
      for (const name of there) mkdirSync(join(folder, name));
      beginNewOrigin(folder, "g", { ...OLD, origin }, SEEN);
      expect(finishNewOrigin(folder)?.newOrigin).toBe(expected);
    });
  }
});

test("what was seen is said in words", () => {
  expect(seenWords({ where: "w", size: 4 }, OLD)).toBe("w has seen 4 entries of g; here it has 3");
  expect(seenWords({ where: "w", size: 3 }, OLD)).toBe("w has seen 3 entries of g that are not those here");
});
