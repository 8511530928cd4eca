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
import type { Access } from "../core/operation.ts";
import type { LoadedSet } from "./load.ts";
import { formatProblem, PolicyInvalid } from "./problems.ts";
import type { Problem } from "./problems.ts";
import { readFolder } from "./set/folder.ts";
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
    const store = await PolicyStore.open(dir, [TINY], TARGETS, events.listen, { times: FAST });
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
      expect(events.all).toEqual([{ kind: "activated", digest: store.digest, commit: null, name: "test", rules: 1 }]);
      expect(rulesOf(store)).toEqual(["first"]);
      expect(store.nextEdge(NOW)).toBe(Infinity);
      expect([store.pattern("ticket"), store.pattern("nothing")]).toEqual(["T-[0-9]+", null]);
      expect(store.mayConnect(ann, operation(ann, [{ class: "connect", facts: {} }]), NOW).kind).toBe("permit");
    });
  });

  test("a broken set throws with every problem", async () => {
    await withFolder(setOf({ "permits/a.yaml": BROKEN, "guards/b.yaml": BROKEN }), async (dir) => {
      const events = new Events();
      const opening = PolicyStore.open(dir, [TINY], TARGETS, events.listen, { times: FAST });
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

  test("has nothing to say of a set without faults, also where no tests are run", async () => {
    await withStore(GOOD, async (store, dir) => {
      expect(await store.reload()).toEqual({ kind: "unchanged", problems: [] });
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      expect(await store.reload()).toEqual({ kind: "activated", problems: [] });
      writeFiles(dir, {
        "guards/a.yaml": rulesFile("Guards", "  - { id: no, action: { classes: [define] }, deny: No. }"),
      });
      expect(await store.reload()).toEqual({ kind: "activated", problems: [] });
    });
  });

  test("refuses a folder that never stays as it is while it is read", async () => {
    await withStore(GOOD, async (store, dir) => {
      let writes = 0;
      let isWriting = true;
      const write = (): void => {
        if (!isWriting) return;
        writeFiles(dir, { "permits/a.yaml": `${permit("second")}#${"x".repeat(writes++ % 1000)}\n` });
        setImmediate(write);
      };
      write();
      const result = await store.reload();
      isWriting = false;
      expect(result.kind).toBe("rejected");
      expect(result.problems.map(formatProblem)).toEqual([
        ". error UNREADABLE the policy folder keeps changing while it is read",
      ]);
      expect(rulesOf(store)).toEqual(["first"]);
      expect((await store.reload()).problems).toEqual([]);
      expect(rulesOf(store)).toEqual(["second"]);
    });
  });

  test("tells of another set once it is active, and of nothing else", async () => {
    await withStore(GOOD, async (store, dir) => {
      const told: [number, readonly string[]][] = [];
      store.onChange(() => told.push([store.epoch, rulesOf(store)]));
      await store.reload();
      writeFiles(dir, { "permits/a.yaml": "nonsense" });
      await store.reload();
      expect(told).toEqual([]);
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      await store.reload();
      expect(told).toEqual([[2, ["second"]]]);
    });
  });

  test("masks by the set that is active now", async () => {
    const masking = (columns: string) => ({
      "guards/m.yaml": rulesFile(
        "Guards",
        `- { id: m, action: { tiny: { columns: [${columns}] } }, oblige: { mask: [{ with: hash }] } }`,
      ),
    });
    await withStore({ ...GOOD, ...masking("a.x") }, async (store, dir) => {
      const asked = ["a.x", "a.y"].map((column): Access => ({ class: "read", facts: { columns: [column] } }));
      const hash = { with: "hash" as const };
      expect(store.masks(ann, asked, NOW)).toEqual([{ transform: hash, predicates: "masked" }, null]);
      expect(store.maskTransforms(ann.target, asked)).toEqual([[hash], []]);
      writeFiles(dir, masking("a.y"));
      await store.reload();
      expect(store.masks(ann, asked, NOW)).toEqual([null, { transform: hash, predicates: "masked" }]);
      expect(store.maskTransforms(ann.target, asked)).toEqual([[], [hash]]);
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
      const store = await PolicyStore.open(dir, [TINY], TARGETS, listen, { times: FAST });
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
      const store = await PolicyStore.open(dir, [TINY], TARGETS, events.listen, { times: FAST });
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
      const store = await PolicyStore.open(join(parent, "policies"), [TINY], TARGETS, () => {}, { times: FAST });
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

describe("the set's own tests", () => {
  const failure: Problem = {
    severity: "error",
    file: "tests/a.yaml",
    line: 3,
    column: 5,
    code: "TEST_FAILED",
    message: "it permits",
    suggestion: "",
  };
  const guard = (id: string, more = "") =>
    rulesFile("Guards", `  - id: ${id}\n    action: { classes: [write] }\n    deny: No.\n${more}`);

  /** A store whose tests fail as long as `failing` holds; `running` is called when they are run. */
  async function withTests(
    use: (parts: {
      store: PolicyStore;
      dir: string;
      events: Events;
      state: { failures: readonly Problem[]; runs: number; activeWhenRun: readonly string[] };
    }) => Promise<void>,
  ): Promise<void> {
    const state: { failures: readonly Problem[]; runs: number; activeWhenRun: readonly string[] } = {
      failures: [],
      runs: 0,
      activeWhenRun: [],
    };
    await withFolder(GOOD, async (dir) => {
      const events = new Events();
      let store: PolicyStore | null = null;
      const verify = async (set: LoadedSet) => {
        state.runs++;
        state.activeWhenRun = store === null ? [] : [store.digest, set.folder.digest];
        return state.failures;
      };
      store = await PolicyStore.open(dir, [TINY], TARGETS, events.listen, { verify, times: FAST });
      try {
        await use({ store, dir, events, state });
      } finally {
        store.close();
      }
    });
  }

  test("are run before a set becomes active, and not for the same one", async () => {
    await withTests(async ({ store, dir, state }) => {
      expect(state.runs).toBe(1);
      await store.reload();
      expect(state.runs).toBe(1);
      const { digest } = store;
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      expect((await store.reload()).kind).toBe("activated");
      expect(state.runs).toBe(2);
      expect(state.activeWhenRun[0]).toBe(digest);
    });
  });

  test("keep a set that fails them out", async () => {
    await withTests(async ({ store, dir, events, state }) => {
      writeFiles(dir, { "permits/a.yaml": permit("second") });
      state.failures = [failure];
      expect(await store.reload()).toEqual({ kind: "rejected", problems: [failure] });
      expect(rulesOf(store)).toEqual(["first"]);
      expect(events.all.map(({ kind }) => kind)).toEqual(["activated", "rejected"]);
      state.failures = [];
      expect((await store.reload()).kind).toBe("activated");
      expect(rulesOf(store)).toEqual(["second"]);
    });
  });

  test("keep a gateway from starting with a set that fails them", async () => {
    await withFolder(GOOD, async (dir) => {
      const opening = PolicyStore.open(dir, [TINY], TARGETS, () => {}, { verify: async () => [failure], times: FAST });
      await expect(opening).rejects.toThrow("it permits");
      const crash = async () => {
        throw new Error("no parser");
      };
      const crashing = PolicyStore.open(dir, [TINY], TARGETS, () => {}, { verify: crash, times: FAST });
      await expect(crashing).rejects.toThrow("the tests cannot be run: no parser");
    });
  });

  test("do not keep a set out after a restart that was active before it, and alarm", async () => {
    await withFolder(GOOD, async (dir) => {
      const events: PolicyEvent[] = [];
      const open = async (last: string | null) =>
        PolicyStore.open(dir, [TINY], TARGETS, (event) => events.push(event), {
          verify: async () => [failure],
          lastActive: async () => last,
          times: FAST,
        });
      await expect(open(null)).rejects.toThrow("it permits");
      await expect(open("another digest")).rejects.toThrow("it permits");
      const { digest } = await readFolder(dir);
      const store = await open(digest);
      store.close();
      expect(events.map(({ kind }) => kind)).toEqual(["activated", "alarmed"]);
      expect(events.at(-1)).toEqual({ kind: "alarmed", digest, problems: [failure] });
    });
  });

  test("do not keep an emergency deny out, and alarm afterwards", async () => {
    await withTests(async ({ store, dir, events, state }) => {
      state.failures = [failure];
      writeFiles(dir, { "guards/now.yaml": guard("now") });
      expect(await store.reload()).toEqual({ kind: "activated", problems: [failure] });
      // It was active before its tests were run.
      expect(state.activeWhenRun).toEqual([store.digest, store.digest]);
      expect(store.decide(ann, operation(ann, [{ class: "write", facts: {} }]), NOW).rules).toEqual(["now"]);
      expect(events.all.slice(1)).toEqual([
        { kind: "activated", digest: store.digest, commit: null, name: "test", rules: 2 },
        { kind: "alarmed", digest: store.digest, problems: [failure] },
      ]);
    });
  });

  test.each([
    ["a guard with an exception", { "guards/now.yaml": guard("now", "    except: [{ unread: true, reason: x }]\n") }],
    ["a permit beside the guard", { "guards/now.yaml": guard("now"), "permits/b.yaml": permit("more") }],
    ["another permit changed", { "guards/now.yaml": guard("now"), "permits/a.yaml": permit("second") }],
    ["an error", { "guards/now.yaml": guard("now"), "permits/b.yaml": BROKEN }],
  ])("keep out what is more than that: %s", async (_, files) => {
    await withTests(async ({ store, dir, state }) => {
      state.failures = [failure];
      writeFiles(dir, files);
      expect((await store.reload()).kind).toBe("rejected");
      expect(rulesOf(store)).toEqual(["first"]);
    });
  });

  test("an emergency deny that breaks the set stays out", async () => {
    await withTests(async ({ store, dir }) => {
      writeFiles(dir, { "guards/now.yaml": guard("now").replace("deny", "deyn") });
      expect((await store.reload()).kind).toBe("rejected");
    });
  });
});
