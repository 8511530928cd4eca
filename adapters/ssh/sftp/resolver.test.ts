/** Where paths lead: in random folders full of links, what is to be sent leads nowhere but where it says. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { normalised, PathRefused } from "./paths.ts";
import { FX } from "./protocol/types.ts";
import { Resolver, type Target } from "./resolver.ts";

/** A file system in memory: what is at each absolute path. */
type Place = { readonly kind: "folder" | "file" } | { readonly kind: "link"; readonly to: string };
type Disk = ReadonlyMap<string, Place>;

const HOME = "/accounts/u";
const LINKS_MAX = 20;

/** Follows every link, as a kernel does; null: something on the way is missing. `lastMayMiss`: all but the last part is there. */
function follow(disk: Disk, path: string, lastMayMiss: boolean): string | null {
  let at = "";
  let links = 0;
  const parts = path.split("/");
  while (parts.length > 0) {
    const part = parts.shift();
    if (part === undefined || part === "" || part === ".") continue;
    if (part === "..") {
      at = at.slice(0, Math.max(at.lastIndexOf("/"), 0));
      continue;
    }
    const next = `${at}/${part}`;
    const place = disk.get(next);
    const isLast = parts.every((each) => each === "");
    if (place === undefined) return isLast && lastMayMiss ? next : null;
    if (place.kind === "link") {
      if (++links > LINKS_MAX) return null;
      if (place.to.startsWith("/")) at = "";
      parts.unshift(...place.to.split("/"));
      continue;
    }
    if (place.kind === "file" && !isLast) return null;
    at = next;
  }
  return at === "" ? "/" : at;
}

/** `isTolerant`: as OpenSSH's, which resolves a path whose last part is missing. */
function targetOf(disk: Disk, isTolerant: boolean): Target {
  return {
    async realpath(path) {
      return follow(disk, path, isTolerant) ?? { code: FX.noSuchFile, message: "No such file" };
    },
    async kindOf(path) {
      return disk.get(path)?.kind === "link" ? "link" : "none";
    },
  };
}

const name = fc.constantFrom("a", "b", "c");
const folder = fc.constantFrom("/accounts/u", "/accounts/u/a", "/accounts/u/b", "/secret", "/secret/a");
const goal = fc
  .tuple(
    fc.constantFrom("", "../", "/", "/accounts/u/", "/secret/", "../../secret/"),
    fc.array(fc.oneof(name, fc.constant("..")), { maxLength: 2 }),
  )
  .map(([start, parts]) => start + parts.join("/"))
  .filter((text) => text !== "");
const entry = fc.tuple(
  folder,
  name,
  fc.oneof(
    fc.constant<Place>({ kind: "file" }),
    fc.constant<Place>({ kind: "folder" }),
    goal.map((to): Place => ({ kind: "link", to })),
  ),
);
const disk = fc.array(entry, { maxLength: 9 }).map((entries): Disk => {
  const places = new Map<string, Place>();
  for (const each of ["/accounts", "/accounts/u", "/secret"]) places.set(each, { kind: "folder" });
  for (const [parent, each, place] of entries) {
    if (places.get(parent)?.kind === "folder") places.set(`${parent}/${each}`, place);
  }
  return places;
});
const path = fc
  .tuple(
    fc.constantFrom("", "/", "./", "../", "//", `${HOME}/`),
    fc.array(fc.oneof(name, fc.constantFrom("..", ".", "")), { minLength: 1, maxLength: 5 }),
  )
  .map(([start, parts]) => start + parts.join("/"))
  .filter((text) => text !== "");

async function resolvedBy(places: Disk, isTolerant: boolean, text: string, following: "follows" | "stays") {
  try {
    return await new Resolver(targetOf(places, isTolerant), HOME).resolve(text, following);
  } catch (error) {
    if (error instanceof PathRefused) return null;
    throw error;
  }
}

test("what may be sent holds no link: to follow it leads to itself", async () => {
  await fc.assert(
    fc.asyncProperty(disk, path, fc.boolean(), async (places, text, isTolerant) => {
      const found = await resolvedBy(places, isTolerant, text, "follows");
      if (found === null || found.failure !== null) return;
      expect(normalised(found.resolved)).toBe(found.resolved);
      const led = follow(places, found.resolved, true);
      // A folder on the way that is not there leads nowhere at all.
      if (led !== null) expect(led).toBe(found.resolved);
    }),
    { numRuns: 3000 },
  );
});

test("what does not follow its last part lies in the folder that its path leads to, under its own name", async () => {
  await fc.assert(
    fc.asyncProperty(disk, path, fc.boolean(), async (places, text, isTolerant) => {
      const found = await resolvedBy(places, isTolerant, text, "stays");
      if (found === null || found.failure !== null || !found.isNamed) return;
      const cut = found.resolved.lastIndexOf("/");
      const parent = found.resolved.slice(0, cut) || "/";
      const led = follow(places, parent, true);
      if (led !== null) expect(led).toBe(parent);
      expect(text.split("/").findLast((part) => part !== "")).toBe(found.resolved.slice(cut + 1));
    }),
    { numRuns: 3000 },
  );
});

test("what is there is found, by either kind of server", async () => {
  await fc.assert(
    fc.asyncProperty(disk, path, fc.boolean(), async (places, text, isTolerant) => {
      const absolute = text.startsWith("/") ? text : `${HOME}/${text}`;
      const there = follow(places, absolute, false);
      if (there === null) return;
      expect(await resolvedBy(places, isTolerant, text, "follows")).toMatchObject({ resolved: there, failure: null });
    }),
    { numRuns: 2000 },
  );
});

test("a server that resolves only what is there still makes new files, and not through links that lead nowhere", async () => {
  const places: Disk = new Map<string, Place>([
    ["/accounts", { kind: "folder" }],
    [HOME, { kind: "folder" }],
    [`${HOME}/out`, { kind: "link", to: "/secret/new" }],
  ]);
  const strict = new Resolver(targetOf(places, false), HOME);
  expect(await strict.resolve("new", "follows")).toMatchObject({ resolved: `${HOME}/new`, failure: null });
  expect(await strict.resolve("out", "follows")).toMatchObject({ failure: { code: FX.noSuchFile } });
  expect(await strict.resolve("new", "exists")).toMatchObject({ failure: { code: FX.noSuchFile } });
});

test("an answer that is no absolute normal path is refused", async () => {
  for (const answer of ["", "relative", "/a/../b", "/a//b", "/a/", "C:\\a"]) {
    const target: Target = { realpath: async () => answer, kindOf: async () => "none" };
    await expect(new Resolver(target, HOME).resolve("x", "follows")).rejects.toThrow(PathRefused);
  }
});

test("a target that resolves nothing is asked only so often", async () => {
  let asked = 0;
  const target: Target = {
    realpath: async () => {
      asked++;
      return { code: FX.failure, message: "" };
    },
    kindOf: async () => "none",
  };
  await expect(new Resolver(target, HOME).resolve("a/".repeat(2000), "follows")).rejects.toThrow(PathRefused);
  expect(asked).toBeLessThanOrEqual(65);
});

test("what Windows reads as another name is refused where the target is Windows, and is a name elsewhere", async () => {
  const target: Target = { realpath: async (path) => normalised(path), kindOf: async () => "none" };
  const asked = [
    "out\\..\\..\\secret",
    "/C:/out/..\\secret",
    "/C:/out/secret:stream",
    "/C:/out/secret.",
    "/C:/out/secret ",
    "/C:/out/SECRET~1",
    "/C:/out. /x",
  ];
  for (const path of asked) {
    const onWindows = new Resolver(target, "/C:/accounts/u").resolve(path, "stays");
    expect([
      path,
      await onWindows.then(
        ({ resolved }) => resolved,
        (error: unknown) => error,
      ),
    ]).toEqual([path, expect.any(PathRefused)]);
    const elsewhere = await new Resolver(target, HOME).resolve(path, "stays");
    expect([path, elsewhere.resolved.endsWith(path)]).toEqual([path, true]);
  }
  const { resolved } = await new Resolver(target, "/C:/accounts/u").resolve("/D:/out/../a.b c/~$x", "stays");
  expect(resolved).toBe("/D:/a.b c/~$x");
});
