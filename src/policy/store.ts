/** The policy set that is active now: loads it, watches its folder, and swaps in a new one whole or not at all. */
import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import type { Decision } from "../core/decision.ts";
import type { Given } from "../core/given.ts";
import type { MaskTransform } from "../core/obligation.ts";
import type { Access, Operation } from "../core/operation.ts";
import type { AccessMask, Policy } from "../core/ports.ts";
import type { Session, TimeMs } from "../core/session.ts";
import type { Target } from "../core/target.ts";
import type { Vocabulary } from "../core/vocabulary.ts";
import { messageOf } from "../core/message-of.ts";
import { commitOf, headStamp } from "./set/commit.ts";
import { decide, mayConnect } from "./engine/decide.ts";
import { sessionMasks, targetComparisons, targetTransforms } from "./engine/session-masks.ts";
import { onlyAddsGuards } from "./language/emergency.ts";
import { fingerprintFolder, readFolder } from "./set/folder.ts";
import type { Folder } from "./set/folder.ts";
import { RuleIndex } from "./engine/index.ts";
import { compileFolder } from "./load.ts";
import type { LoadedSet } from "./load.ts";
import { hasErrors, PolicyInvalid } from "./problems.ts";
import type { Problem } from "./problems.ts";

/** What a store tells whoever keeps the record. */
export type PolicyEvent =
  | {
      readonly kind: "activated";
      readonly digest: string;
      readonly commit: string | null;
      readonly name: string;
      readonly rules: number;
    }
  /** The active set does not do what its own tests say; it was let in because it only adds guards, or was active before. */
  | { readonly kind: "alarmed"; readonly digest: string; readonly problems: readonly Problem[] }
  | { readonly kind: "rejected"; readonly problems: readonly Problem[] };

export type ReloadResult = {
  readonly kind: "activated" | "unchanged" | "rejected";
  readonly problems: readonly Problem[];
};

/** Runs what a set says of itself (its tests), and returns what does not hold. */
export type Verify = (set: LoadedSet) => Promise<readonly Problem[]>;

export type StoreOptions = {
  /** Left out: nothing is verified beyond what loading checks. */
  readonly verify?: Verify;
  /** The digest of the set that was active before the gateway started, null when there was none. */
  readonly lastActive?: () => Promise<string | null>;
  readonly times?: WatchTimes;
  /** Does the configuration name anybody to seal recordings to? Left out: nothing is said about it. */
  readonly seals?: boolean;
  /** False: windows and validity are decided as if nobody knew the time (timeTold() says when it changes). */
  readonly isTimeKnown?: () => boolean;
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
  readonly set: LoadedSet;
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
  readonly #verify: Verify;
  readonly #times: WatchTimes;
  readonly #seals: boolean | null;
  readonly #isTimeKnown: () => boolean;
  /** Reloads run one after the other. */
  #reloading: Promise<unknown> = Promise.resolve();
  /** What was rejected last, so that the same fault is told once. */
  #rejected: string | null = null;
  #seen: string;
  #watcher: FSWatcher | null = null;
  #poll: ReturnType<typeof setInterval> | null = null;
  #debounce: ReturnType<typeof setTimeout> | null = null;
  #onChange: () => void = () => {};
  #isClosed = false;
  #isLooking = false;

  private constructor(
    active: Active,
    seen: string,
    dir: string,
    vocabularies: readonly Vocabulary[],
    targets: readonly Target[],
    onEvent: (event: PolicyEvent) => void,
    { verify = async () => [], times = WATCH_TIMES, seals, isTimeKnown = () => true }: StoreOptions,
  ) {
    this.#isTimeKnown = isTimeKnown;
    this.#active = active;
    this.#seen = seen;
    this.#dir = dir;
    this.#vocabularies = vocabularies;
    this.#targets = targets;
    this.#onEvent = onEvent;
    this.#verify = verify;
    this.#times = times;
    this.#seals = seals ?? null;
  }

  /**
   * Loads the set in `dir` and reports it as activated. Throws PolicyInvalid when it has errors or its tests fail; a set
   * that was active before a restart is taken back whatever its tests say, and the failures are reported: an emergency
   * deny must not keep the gateway from starting.
   */
  static async open(
    dir: string,
    vocabularies: readonly Vocabulary[],
    targets: readonly Target[],
    onEvent: (event: PolicyEvent) => void,
    options: StoreOptions = {},
  ): Promise<PolicyStore> {
    const { folder, seen } = await readStable(dir);
    const set = await compileFolder(folder, vocabularies, targets, null, options.seals ?? null);
    if (hasErrors(set.problems)) throw new PolicyInvalid(set.problems);
    const failures = await verified(set, options.verify);
    if (hasErrors(failures) && (await options.lastActive?.()) !== folder.digest) throw new PolicyInvalid(failures);
    const index = new RuleIndex(set.rules, vocabularies, set.author.patterns);
    const active = { set, index, epoch: 1, digest: folder.digest, commit: await commitOf(folder) };
    const store = new PolicyStore(active, seen, dir, vocabularies, targets, onEvent, options);
    onEvent(activation(active));
    if (hasErrors(failures)) onEvent({ kind: "alarmed", digest: folder.digest, problems: failures });
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

  decide(session: Session, operation: Operation, now: TimeMs, given?: Given): Decision {
    return decide(this.#active.index, session, operation, this.#timeOf(now), given);
  }

  mayConnect(session: Session, operation: Operation, now: TimeMs, given?: Given): Decision {
    return mayConnect(this.#active.index, session, operation, this.#timeOf(now), given);
  }

  masks(session: Session, accesses: readonly Access[], now: TimeMs, given?: Given): readonly (AccessMask | null)[] {
    return sessionMasks(this.#active.index, session, accesses, this.#timeOf(now), given);
  }

  maskTransforms(target: Target, accesses: readonly Access[]): readonly (readonly MaskTransform[])[] {
    return targetTransforms(this.#active.index, target, accesses);
  }

  mayCompare(target: Target, accesses: readonly Access[]): readonly boolean[] {
    return targetComparisons(this.#active.index, target, accesses);
  }

  onChange(callback: () => void): void {
    this.#onChange = callback;
  }

  pattern(name: string): string | null {
    return this.#active.set.author.patterns.get(name)?.text ?? null;
  }

  nextEdge(now: TimeMs): TimeMs {
    return this.#active.index.nextEdge(now);
  }

  /**
   * Whether the clock tells the time has changed: what was decided by it is void at once, and open sessions are judged
   * again in a moment, for this may be in the middle of a decision.
   */
  timeTold(): void {
    this.#active = { ...this.#active, epoch: this.#active.epoch + 1 };
    queueMicrotask(() => this.#onChange());
  }

  /** NaN, which no window holds at for sure, while the clock does not tell. */
  #timeOf(now: TimeMs): TimeMs {
    return this.#isTimeKnown() ? now : Number.NaN;
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
    const set = await compileFolder(folder, this.#vocabularies, this.#targets, null, this.#seals);
    const isSame = folder.digest === active.digest && commit === active.commit;
    // An emergency deny does not wait for tests, and is not stopped by them.
    const isEmergency = !hasErrors(set.problems) && onlyAddsGuards(active.set, set);
    const problems = isSame || isEmergency || hasErrors(set.problems) ? [] : await verified(set, this.#verify);
    const told = [...set.problems, ...problems];
    if (hasErrors(told)) {
      this.#reject(told);
      this.#seen = seen;
      return { kind: "rejected", problems: told };
    }
    if (!isSame) {
      const index = new RuleIndex(set.rules, this.#vocabularies, set.author.patterns);
      const next = { set, index, epoch: this.#active.epoch + 1, digest: folder.digest, commit };
      // First the record, then the change: when the record fails, the old set stays.
      this.#onEvent(activation(next));
      this.#active = next;
      this.#onChange();
    }
    this.#rejected = null;
    this.#seen = seen;
    const alarming = isEmergency && !isSame ? await verified(set, this.#verify) : [];
    if (hasErrors(alarming)) this.#onEvent({ kind: "alarmed", digest: folder.digest, problems: alarming });
    return { kind: isSame ? "unchanged" : "activated", problems: [...told, ...alarming] };
  }

  #reject(problems: readonly Problem[]): void {
    const rejected = JSON.stringify(problems);
    if (rejected !== this.#rejected) this.#onEvent({ kind: "rejected", problems });
    this.#rejected = rejected;
  }
}

function activation({ set, digest, commit }: Active): PolicyEvent {
  return { kind: "activated", digest, commit, name: set.name, rules: set.rules.length };
}

/** What the set's own tests say against it; that they cannot be run is said like a failure. */
async function verified(set: LoadedSet, verify: Verify | undefined): Promise<readonly Problem[]> {
  try {
    return (await verify?.(set)) ?? [];
  } catch (error) {
    const message = `the tests cannot be run: ${messageOf(error)}`;
    return [{ severity: "error", file: ".", line: null, column: null, code: "TEST_FAILED", message, suggestion: "" }];
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
