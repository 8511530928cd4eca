/** The policy set that is active now: loads it, watches its folder, and swaps in a new one whole or not at all. */
import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import type { Decision } from "../core/decision.ts";
import type { Operation } from "../core/operation.ts";
import type { Policy } from "../core/ports.ts";
import type { Session, TimeMs } from "../core/session.ts";
import type { Target } from "../core/target.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { commitOf, headStamp } from "./commit.ts";
import { decide, mayConnect } from "./decide.ts";
import { fingerprintFolder, readFolder } from "./folder.ts";
import type { Folder } from "./folder.ts";
import { RuleIndex } from "./index.ts";
import { compileFolder } from "./load.ts";
import { hasErrors, PolicyInvalid } from "./problems.ts";
import type { Problem } from "./problems.ts";

/** What a store tells whoever keeps the record. */
export type PolicyEvent =
  | { readonly kind: "activated"; readonly digest: string; readonly commit: string | null }
  | { readonly kind: "rejected"; readonly problems: readonly Problem[] };

export type ReloadResult = {
  readonly kind: "activated" | "unchanged" | "rejected";
  readonly problems: readonly Problem[];
};

/** How the folder is watched; tests shorten the times. */
export type WatchTimes = { readonly debounceMs: number; readonly pollMs: number };

const WATCH_TIMES: WatchTimes = {
  // Writers replace files one after the other: wait until they have been quiet for this long.
  debounceMs: 200,
  // Network file systems and some mounts notify nobody.
  pollMs: 2000,
};
/** A folder that changes while it is read is read again, so that no half of a change becomes active. */
const READS_MAX = 5;

type Active = {
  readonly index: RuleIndex;
  readonly epoch: number;
  readonly digest: string;
  readonly commit: string | null;
};

/** The policy of a running gateway. Every method that decides looks at one set, whole. */
export class PolicyStore implements Policy {
  #active: Active;
  readonly #dir: string;
  readonly #vocabularies: readonly Vocabulary[];
  readonly #targets: readonly Target[];
  readonly #onEvent: (event: PolicyEvent) => void;
  readonly #times: WatchTimes;
  /** Reloads run one after the other. */
  #reloading: Promise<unknown> = Promise.resolve();
  /** What was rejected last, so that the same fault is told once. */
  #rejected: string | null = null;
  #seen: string;
  #watcher: FSWatcher | null = null;
  #poll: ReturnType<typeof setInterval> | null = null;
  #debounce: ReturnType<typeof setTimeout> | null = null;
  #isClosed = false;
  #isLooking = false;

  private constructor(
    active: Active,
    seen: string,
    dir: string,
    vocabularies: readonly Vocabulary[],
    targets: readonly Target[],
    onEvent: (event: PolicyEvent) => void,
    times: WatchTimes,
  ) {
    this.#active = active;
    this.#seen = seen;
    this.#dir = dir;
    this.#vocabularies = vocabularies;
    this.#targets = targets;
    this.#onEvent = onEvent;
    this.#times = times;
  }

  /** Loads the set in `dir` and reports it as activated. Throws PolicyInvalid when it has errors. */
  static async open(
    dir: string,
    vocabularies: readonly Vocabulary[],
    targets: readonly Target[],
    onEvent: (event: PolicyEvent) => void,
    times: WatchTimes = WATCH_TIMES,
  ): Promise<PolicyStore> {
    const { folder, seen } = await readStable(dir);
    const loaded = await compileFolder(folder, vocabularies, targets);
    if (hasErrors(loaded.problems)) throw new PolicyInvalid(loaded.problems);
    const index = new RuleIndex(loaded.rules, vocabularies);
    const active = { index, epoch: 1, digest: folder.digest, commit: await commitOf(folder) };
    const store = new PolicyStore(active, seen, dir, vocabularies, targets, onEvent, times);
    onEvent({ kind: "activated", digest: active.digest, commit: active.commit });
    return store;
  }

  get epoch(): number {
    return this.#active.epoch;
  }

  get digest(): string {
    return this.#active.digest;
  }

  get commit(): string | null {
    return this.#active.commit;
  }

  decide(session: Session, operation: Operation, now: TimeMs): Decision {
    return decide(this.#active.index, session, operation, now);
  }

  mayConnect(session: Session, operation: Operation, now: TimeMs): Decision {
    return mayConnect(this.#active.index, session, operation, now);
  }

  nextEdge(now: TimeMs): TimeMs {
    return this.#active.index.nextEdge(now);
  }

  /** Loads the folder again. A set with errors is reported and changes nothing: the last good one stays active. */
  reload(): Promise<ReloadResult> {
    const result = this.#reloading.then(() => this.#reload());
    this.#reloading = result.catch(() => undefined);
    return result;
  }

  /** Reloads whenever the folder changes, until close(). */
  watch(): void {
    if (this.#isClosed || this.#poll !== null) return;
    try {
      this.#watcher = watch(this.#dir, { recursive: true, persistent: false }, () => this.#changed());
      // A watcher that fails (its folder was replaced) leaves the work to the poll.
      this.#watcher.on("error", () => this.#stopWatcher());
    } catch {
      this.#watcher = null;
    }
    this.#poll = setInterval(() => void this.#look(), this.#times.pollMs);
    this.#poll.unref();
  }

  /** Stops watching. The active set goes on deciding. */
  close(): void {
    this.#isClosed = true;
    this.#stopWatcher();
    if (this.#poll !== null) clearInterval(this.#poll);
    if (this.#debounce !== null) clearTimeout(this.#debounce);
    this.#poll = null;
    this.#debounce = null;
  }

  #stopWatcher(): void {
    this.#watcher?.close();
    this.#watcher = null;
  }

  #changed(): void {
    if (this.#isClosed) return;
    if (this.#debounce !== null) clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => void this.#look(), this.#times.debounceMs);
    this.#debounce.unref();
  }

  /** Reloads when the folder is not as it was. */
  async #look(): Promise<void> {
    if (this.#isClosed || this.#isLooking) return;
    this.#isLooking = true;
    try {
      if ((await stampOf(this.#dir)) !== this.#seen && !this.#isClosed) await this.reload();
    } catch {
      // The change could not be recorded, so it was not made: look again at the next poll.
      this.#seen = "";
    } finally {
      this.#isLooking = false;
    }
  }

  async #reload(): Promise<ReloadResult> {
    const { folder, seen } = await readStable(this.#dir);
    const commit = await commitOf(folder);
    const active = this.#active;
    const loaded = await compileFolder(folder, this.#vocabularies, this.#targets);
    if (hasErrors(loaded.problems)) {
      this.#reject(loaded.problems);
      this.#seen = seen;
      return { kind: "rejected", problems: loaded.problems };
    }
    const isSame = folder.digest === active.digest && commit === active.commit;
    if (!isSame) {
      const index = new RuleIndex(loaded.rules, this.#vocabularies);
      // First the record, then the change: when the record fails, the old set stays.
      this.#onEvent({ kind: "activated", digest: folder.digest, commit });
      this.#active = { index, epoch: active.epoch + 1, digest: folder.digest, commit };
    }
    this.#rejected = null;
    this.#seen = seen;
    return { kind: isSame ? "unchanged" : "activated", problems: loaded.problems };
  }

  #reject(problems: readonly Problem[]): void {
    const rejected = JSON.stringify(problems);
    if (rejected !== this.#rejected) this.#onEvent({ kind: "rejected", problems });
    this.#rejected = rejected;
  }
}

/** Changes whenever the set or its place in a repository may have changed. */
async function stampOf(dir: string): Promise<string> {
  const { realDir, fingerprint } = await fingerprintFolder(dir);
  return `${fingerprint} ${await headStamp(realDir)}`;
}

/** Reads the folder until it is the same before and after. */
async function readStable(dir: string): Promise<{ folder: Folder; seen: string }> {
  let before = await stampOf(dir);
  for (let read = 1; ; read++) {
    const folder = await readFolder(dir);
    const after = await stampOf(dir);
    if (after === before) return { folder, seen: after };
    if (read < READS_MAX) {
      before = after;
      continue;
    }
    const problem: Problem = {
      severity: "error",
      file: ".",
      line: null,
      column: null,
      code: "UNREADABLE",
      message: "the policy folder keeps changing while it is read",
      suggestion: "",
    };
    return { folder: { ...folder, problems: [...folder.problems, problem] }, seen: before };
  }
}
