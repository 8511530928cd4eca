/** The policy that decides: loaded and tested, watched from then on, and each change of it recorded and told. */
import type { AuditLog } from "../audit/audit.ts";
import { LogReader } from "../audit/query.ts";
import { RuleIndex } from "../policy/engine/index.ts";
import type { LoadedSet } from "../policy/load.ts";
import { formatProblem } from "../policy/problems.ts";
import type { Problem } from "../policy/problems.ts";
import { PolicyStore } from "../policy/store.ts";
import type { PolicyEvent } from "../policy/store.ts";
import { runTests } from "../policy/tests/test-run.ts";
import type { GatewayParts } from "./parts.ts";

/** Of a rejected set; the first say enough. */
const PROBLEMS_RECORDED_MAX = 20;

export type ActivePolicy = { readonly store: PolicyStore; readonly news: PolicyNews };

/** Loads the policy set and follows its changes; what ends that is put on `stack`. Throws PolicyInvalid. */
export async function openPolicy(
  parts: GatewayParts,
  audit: AuditLog,
  isTimeKnown: () => boolean,
  stack: AsyncDisposableStack,
): Promise<ActivePolicy> {
  const { config, vocabularies, say } = parts;
  const news = new PolicyNews(audit, say);
  const store = await PolicyStore.open(config.policies, vocabularies, config.targets, (event) => news.heard(event), {
    verify: async (set) => testErrors(set, parts),
    lastActive: async () => lastActivePolicy(config.data),
    seals: config.audit.seal !== null,
    isTimeKnown,
  });
  stack.defer(() => store.close());
  store.watch();
  return { store, news };
}

/** Records which policy became active or was rejected, and keeps what is wrong now for `weir status`. */
export class PolicyNews {
  /** What is wrong with the policies as they lie in their folder; empty: they are the active ones. */
  problems: readonly string[] = [];
  readonly #audit: AuditLog;
  readonly #say: (line: string) => void;

  constructor(audit: AuditLog, say: (line: string) => void) {
    this.#audit = audit;
    this.#say = say;
  }

  /** Throws when an activation cannot be recorded: then the old set stays. */
  heard(event: PolicyEvent): void {
    if (event.kind === "activated") {
      const { digest, commit, name, rules } = event;
      this.#audit.event("policy.activated", { digest, commit, name, rules });
      this.problems = [];
      return;
    }
    this.problems = event.problems.map(formatProblem);
    const problems = this.problems.slice(0, PROBLEMS_RECORDED_MAX);
    if (event.kind === "alarmed") {
      this.#say("ALARM: guards were added, and the policies no longer do what their tests say:");
    } else {
      this.#say("the changed policies have errors and were not taken; the last good ones stay active:");
    }
    for (const line of this.problems) this.#say(`  ${line}`);
    try {
      if (event.kind === "alarmed") this.#audit.event("policy.alarmed", { digest: event.digest, problems });
      else this.#audit.event("policy.rejected", { problems });
    } catch {
      // The log has failed: it says so itself, and nothing is let through until it is back.
    }
  }
}

/** What a set's own tests say against it. */
async function testErrors(
  set: LoadedSet,
  { vocabularies, adapters, clock }: GatewayParts,
): Promise<readonly Problem[]> {
  const index = new RuleIndex(set.rules, vocabularies, set.author.patterns);
  const tools = new Map(adapters.map((adapter) => [adapter.name, adapter.policy]));
  return (await runTests(set, index, tools, { now: clock.now() })).errors;
}

/** The digest of the policy set that was active last, as the log has it; null when it has none. */
async function lastActivePolicy(folder: string): Promise<string | null> {
  const log = LogReader.open(folder);
  try {
    const [last] = await log.tail(1, { event: "policy.activated" });
    const digest = last?.leaf.shape === "event" ? last.leaf.facts["digest"] : null;
    return typeof digest === "string" ? digest : null;
  } finally {
    log.close();
  }
}
