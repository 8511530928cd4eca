/** The store: what becomes active, when, and what a change of the folder or of its repository does to it. */
import { describe, expect, test } from "bun:test";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  identity,
  NOW,
  operation,
  rulesFile,
  session,
  setOf,
  TARGETS,
  TINY,
  withFolder,
  writeFiles,
} from "../../test/policy-sets.ts";
import type { Files } from "../../test/policy-sets.ts";
import { formatProblem, PolicyInvalid } from "./problems.ts";
import { PolicyStore } from "./store.ts";
import type { PolicyEvent } from "./store.ts";

const permit = (id: string) =>
  rulesFile(
    "Permits",
    `  - id: ${id}\n    subject: { kinds: [human] }\n    target: { any: true }\n    action: { any: true }`,
  );
const GOOD = setOf({ "permits/a.yaml": permit("first") });
const BROKEN = "rules: [";
const FAST = { debounceMs: 5, pollMs: 20 };
const ann = session(identity("human", "ann"));

/** What a store told, and waiting for the next of it. */
class Events {
  readonly all: PolicyEvent[] = [];
  readonly #waiting: ((event: PolicyEvent) => void)[] = [];

  readonly listen = (event: PolicyEvent): void => {
    this.all.push(event);
    for (const resolve of this.#waiting.splice(0)) resolve(event);
  };

  next(): Promise<PolicyEvent> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

async function withStore(
  files: Files,
  use: (store: PolicyStore, dir: string, events: Events) => Promise<void>,
): Promise<void> {
  await withFolder(files, async (dir) => {
    const events = new Events();
    const store = await PolicyStore.open(dir, [TINY], TARGETS, events.listen, FAST);
    try {
      await use(store, dir, events);
    } finally {
      store.close();
    }
  });
}

function rulesOf(store: PolicyStore): readonly string[] {
  return store.decide(ann, operation(ann, [{ class: "read", facts: {} }]), NOW).rules;
}

function git(dir: string, ...args: readonly string[]): string {
  const identityArgs = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
  const run = Bun.spawnSync(["git", ...identityArgs, ...args], {
    cwd: dir,
    env: { PATH: process.env["PATH"] ?? "", HOME: dir },
  });
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
  return run.stdout.toString().trim();
}

describe("opening", () => {
  test("makes a set active and says so", async () => {
    await withStore(GOOD, async (store, _, events) => {
      expect(store.epoch).toBe(1);
      expect(events.all).toEqual([{ kind: "activated", digest: store.digest, commit: null }]);
      expect(rulesOf(store)).toEqual(["first"]);
      expect(store.nextEdge(NOW)).toBe(Infinity);
      expect(store.mayConnect(ann, operation(ann, [{ class: "connect", facts: {} }]), NOW).kind).toBe("permit");
    });
  });

  test("a broken set throws with every problem", async () => {
    await withFolder(setOf({ "permits/a.yaml": BROKEN, "guards/b.yaml": BROKEN }), async (dir) => {
      const events = new Events();
      const opening = PolicyStore.open(dir, [TINY], TARGETS, events.listen, FAST);
      const error: unknown = await opening.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(PolicyInvalid);
      if (!(error instanceof PolicyInvalid)) return;
      expect(error.problems.map(formatProblem).map((line) => line.split(" ", 1)[0])).toEqual([
        "guards/b.yaml:1:9",
        "permits/a.yaml:1:9",
      ]);
      expect(events.all).toEqual([]);
    });
  });
});

describe("reloading", () => {
  test("swaps in another set under a new epoch, and does nothing for the same one", async () => {
    await withStore(GOOD, async (store, dir, events) => {
      const { digest } = store;
      expect((await store.reload()).kind).toBe("unchanged");
      expect([store.epoch, store.digest]).toEqual([1, digest]);
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      expect((await store.reload()).kind).toBe("activated");
      expect(store.epoch).toBe(2);
      expect(store.digest).not.toBe(digest);
      expect(rulesOf(store)).toEqual(["second"]);
      expect(events.all.map(({ kind }) => kind)).toEqual(["activated", "activated"]);
    });
  });

  test("keeps the last good set when the new one is broken, and tells the same fault once", async () => {
    await withStore(GOOD, async (store, dir, events) => {
      writeFiles(dir, { "guards/b.yaml": BROKEN });
      const result = await store.reload();
      expect(result.kind).toBe("rejected");
      expect(result.problems.map(({ file }) => file)).toEqual(["guards/b.yaml"]);
      await store.reload();
      expect([store.epoch, rulesOf(store)]).toEqual([1, ["first"]]);
      expect(events.all.map(({ kind }) => kind)).toEqual(["activated", "rejected"]);
      rmSync(join(dir, "guards"), { recursive: true });
      expect((await store.reload()).kind).toBe("unchanged");
      writeFiles(dir, { "guards/b.yaml": BROKEN });
      await store.reload();
      expect(events.all.map(({ kind }) => kind)).toEqual(["activated", "rejected", "rejected"]);
    });
  });

  test("of a folder that is gone keeps the last good set", async () => {
    await withStore(GOOD, async (store, dir) => {
      renameSync(dir, `${dir}-away`);
      try {
        expect((await store.reload()).kind).toBe("rejected");
        expect(rulesOf(store)).toEqual(["first"]);
      } finally {
        renameSync(`${dir}-away`, dir);
      }
    });
  });

  test("several at once run one after the other", async () => {
    await withStore(GOOD, async (store, dir) => {
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      const results = await Promise.all([store.reload(), store.reload(), store.reload()]);
      expect(results.map(({ kind }) => kind)).toEqual(["activated", "unchanged", "unchanged"]);
      expect(store.epoch).toBe(2);
    });
  });

  test("a set whose activation cannot be recorded does not become active", async () => {
    await withFolder(GOOD, async (dir) => {
      let isLogBroken = false;
      const listen = () => {
        if (isLogBroken) throw new Error("no log");
      };
      const store = await PolicyStore.open(dir, [TINY], TARGETS, listen, FAST);
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      isLogBroken = true;
      await expect(store.reload()).rejects.toThrow("no log");
      await store.reload().catch(() => undefined);
      expect([store.epoch, rulesOf(store)]).toEqual([1, ["first"]]);
      isLogBroken = false;
      expect((await store.reload()).kind).toBe("activated");
      expect(rulesOf(store)).toEqual(["second"]);
      store.close();
    });
  });
});

describe("watching", () => {
  test("notices a file that is written, added, broken, mended and removed", async () => {
    await withStore(GOOD, async (store, dir, events) => {
      store.watch();
      store.watch();
      const change = async (act: () => void): Promise<PolicyEvent["kind"]> => {
        const told = events.next();
        act();
        return (await told).kind;
      };
      expect(await change(() => writeFiles(dir, { "permits/a.yaml": permit("second") }))).toBe("activated");
      expect(rulesOf(store)).toEqual(["second"]);
      expect(await change(() => writeFiles(dir, { "permits/deep/b.yaml": permit("third") }))).toBe("activated");
      expect(rulesOf(store)).toEqual(["second", "third"]);
      expect(await change(() => writeFiles(dir, { "permits/deep/b.yaml": BROKEN }))).toBe("rejected");
      expect(rulesOf(store)).toEqual(["second", "third"]);
      expect(await change(() => writeFiles(dir, { "permits/deep/b.yaml": permit("fourth") }))).toBe("activated");
      expect(rulesOf(store)).toEqual(["fourth", "second"]);
      expect(await change(() => rmSync(join(dir, "permits/deep"), { recursive: true }))).toBe("activated");
      expect(rulesOf(store)).toEqual(["second"]);
    });
  });

  test("notices a folder that is replaced as a whole", async () => {
    await withFolder({}, async (parent) => {
      const dir = join(parent, "policies");
      writeFiles(dir, GOOD);
      writeFiles(join(parent, "next"), setOf({ "permits/a.yaml": permit("second") }));
      const events = new Events();
      const store = await PolicyStore.open(dir, [TINY], TARGETS, events.listen, FAST);
      store.watch();
      const told = events.next();
      renameSync(dir, join(parent, "old"));
      renameSync(join(parent, "next"), dir);
      // Between the two renames there was no folder, which may have been noticed too.
      if ((await told).kind === "rejected") await events.next();
      expect(rulesOf(store)).toEqual(["second"]);
      store.close();
    });
  });
});

describe("the commit", () => {
  test("is that of the repository while nothing differs, else dirty", async () => {
    await withStore(GOOD, async (store, dir) => {
      git(dir, "init", "-q");
      await store.reload();
      expect(store.commit).toBeNull();
      git(dir, "add", ".");
      git(dir, "commit", "-q", "-m", "one");
      const first = git(dir, "rev-parse", "HEAD");
      expect((await store.reload()).kind).toBe("activated");
      expect(store.commit).toBe(first);
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      await store.reload();
      expect(store.commit).toBe("dirty");
      git(dir, "add", ".");
      await store.reload();
      expect(store.commit).toBe("dirty");
      git(dir, "commit", "-q", "-m", "two");
      await store.reload();
      expect(store.commit).toBe(git(dir, "rev-parse", "HEAD"));
      writeFiles(dir, { "permits/more.yaml": permit("more") });
      await store.reload();
      expect(store.commit).toBe("dirty");
      rmSync(join(dir, "permits/more.yaml"));
      writeFiles(dir, { "README.md": "not policy" });
      await store.reload();
      expect(store.commit).toBe(git(dir, "rev-parse", "HEAD"));
    });
  });

  test("of a set that misses a committed file is dirty", async () => {
    await withStore(
      setOf({ "permits/a.yaml": permit("first"), "permits/b.yaml": permit("other") }),
      async (store, dir) => {
        git(dir, "init", "-q");
        git(dir, "add", ".");
        git(dir, "commit", "-q", "-m", "one");
        rmSync(join(dir, "permits/b.yaml"));
        await store.reload();
        expect(store.commit).toBe("dirty");
      },
    );
  });

  test("of a subfolder of a repository is the repository's", async () => {
    await withFolder({}, async (parent) => {
      writeFiles(join(parent, "policies"), GOOD);
      writeFiles(parent, { "other.yaml": "x" });
      git(parent, "init", "-q");
      git(parent, "add", ".");
      git(parent, "commit", "-q", "-m", "one");
      const store = await PolicyStore.open(join(parent, "policies"), [TINY], TARGETS, () => {}, FAST);
      expect(store.commit).toBe(git(parent, "rev-parse", "HEAD"));
      store.close();
    });
  });

  test("is noticed when it is made, though no file changes", async () => {
    await withStore(GOOD, async (store, dir, events) => {
      git(dir, "init", "-q");
      git(dir, "add", ".");
      git(dir, "commit", "-q", "-m", "one");
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      await store.reload();
      expect(store.commit).toBe("dirty");
      store.watch();
      const told = events.next();
      git(dir, "commit", "-q", "-a", "-m", "two");
      expect(await told).toMatchObject({ kind: "activated", digest: store.digest });
      expect(store.commit).toBe(git(dir, "rev-parse", "HEAD"));
    });
  });
});
