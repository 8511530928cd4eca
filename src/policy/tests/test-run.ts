/** Runs the tests of a set: decides each case as the gateway would, and says which rules no case decides. */
import { isRefusal } from "../../core/decision.ts";
import type { Decision, RuleId } from "../../core/decision.ts";
import type { Given } from "../../core/given.ts";
import { NO_OBLIGATIONS } from "../../core/obligation.ts";
import type { Access, Accesses, Operation } from "../../core/operation.ts";
import type { CatalogTarget, DescribedText, PolicyTools } from "../../core/policy-tools.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import type { Target } from "../../core/target.ts";
import { messageOf } from "../../core/message-of.ts";
import { decide, mayConnect } from "../engine/decide.ts";
import type { Asked } from "../explain/explain.ts";
import type { RuleIndex } from "../engine/index.ts";
import type { LoadedSet } from "../load.ts";
import { joinObligations } from "../engine/merge.ts";
import type { Problem } from "../problems.ts";
import type { Rule } from "../engine/rule.ts";
import { shortfalls } from "./test-expectation.ts";
import type { Decided } from "./test-expectation.ts";
import type { TestCase } from "./test-file.ts";
import type { KnownTarget } from "../language/words.ts";

/** A reload waits for the tests; ten thousand cases take a second. */
const TIME_MS_MAX = 20_000;
/** Other work gets its turn after so many cases. */
const CASES_PER_TURN = 50;

/** One thing that a case sends, with what was decided on it. */
export type Step = { readonly text: string; readonly decision: Decision; readonly asked: Asked };

export type CaseResult = {
  readonly case: TestCase;
  /** In order; the session itself first, when it is not let in or is all that the case is about. */
  readonly steps: readonly Step[];
  /** Null: it could not be decided, and `failures` says why. */
  readonly decided: Decided | null;
  /** One sentence for each way in which the case is not as it should be; none: it passed. */
  readonly failures: readonly string[];
};

export type TestReport = {
  readonly results: readonly CaseResult[];
  /** Sorted by id. */
  readonly untested: readonly Rule[];
  /** Each failed case, and what else kept the tests from passing. */
  readonly errors: readonly Problem[];
  /** Rules that no case decides. */
  readonly warnings: readonly Problem[];
};

export type TestedSet = Pick<LoadedSet, "tests" | "catalog">;

export type TestOptions = {
  /** The instant of cases that have none. */
  readonly now: TimeMs;
  readonly timeMsMax?: number;
};

/** Runs all cases. Never rejects; what takes too long is cut off, and counts as failed. `tools` are by adapter. */
export async function runTests(
  set: TestedSet,
  index: RuleIndex,
  tools: ReadonlyMap<string, PolicyTools>,
  options: TestOptions,
): Promise<TestReport> {
  const { now, timeMsMax = TIME_MS_MAX } = options;
  const runner = new CaseRunner(set, index, tools, now);
  const endMs = performance.now() + timeMsMax;
  const results: CaseResult[] = [];
  const errors: Problem[] = [];
  for (const each of set.tests) {
    if (performance.now() > endMs) {
      errors.push(cutOff(each, set.tests.length - results.length, timeMsMax));
      break;
    }
    const result = await runner.run(each);
    results.push(result);
    if (result.failures.length > 0) errors.push(failureOf(result));
    if (results.length % CASES_PER_TURN === 0) await turn();
  }
  const untested = index.rules.filter(({ id }) => !runner.deciding.has(id));
  return { results, untested, errors, warnings: untested.map(untestedProblem) };
}

class CaseRunner {
  /** Every rule that some case is decided by. */
  readonly deciding = new Set<RuleId>();
  readonly #set: TestedSet;
  readonly #index: RuleIndex;
  readonly #tools: ReadonlyMap<string, PolicyTools>;
  readonly #now: TimeMs;
  /** The index remembers targets by object. */
  readonly #targets = new Map<string, Target>();

  constructor(set: TestedSet, index: RuleIndex, tools: ReadonlyMap<string, PolicyTools>, now: TimeMs) {
    this.#set = set;
    this.#index = index;
    this.#tools = tools;
    this.#now = now;
  }

  async run(each: TestCase): Promise<CaseResult> {
    const undecided = (why: string): CaseResult => ({ case: each, steps: [], decided: null, failures: [why] });
    try {
      const { target } = each;
      if (target === null) {
        return undecided(
          `${each.targetName} is neither configured nor in the catalog; weir policy catalog pull adds it`,
        );
      }
      const described = await this.#describe(each, target);
      if (typeof described === "string") return undecided(described);
      const steps = this.#decide(each, this.#targetOf(target), described);
      for (const { decision } of steps) {
        for (const id of [...decision.rules, ...decision.observed]) this.deciding.add(id);
      }
      const decided = summary(steps);
      return { case: each, steps, decided, failures: shortfalls(each.expected, decided) };
    } catch (error) {
      return undecided(`it could not be decided: ${messageOf(error)}`);
    }
  }

  /** What the case sends as operations; a sentence when it cannot be read. None: it only opens a session. */
  async #describe({ input, place }: TestCase, target: KnownTarget): Promise<readonly DescribedText[] | string> {
    if (input.kind === "connect") return [];
    if (input.kind === "accesses") {
      const understood = !input.accesses.some(({ opaque }) => opaque === true);
      return [{ text: "", accesses: input.accesses, understood, notUnderstood: null }];
    }
    const tools = this.#tools.get(target.adapter);
    if (tools?.texts.includes(input.key) !== true) {
      const others = tools === undefined || tools.texts.length === 0 ? "" : `${tools.texts.join(", ")} or `;
      return `${input.key} cannot be read for targets of ${target.adapter}; give ${others}accesses`;
    }
    const described = await tools.describe(input.key, input.value, this.#catalogOf(target), { place });
    return isRefusal(described) ? `${described.message}. ${described.hint}`.trim() : described;
  }

  /** The session first: who is not let in sends nothing. */
  #decide(each: TestCase, target: Target, described: readonly DescribedText[]): readonly Step[] {
    const now = each.atMs ?? this.#now;
    const session: Session = { id: "test", identity: each.identity, target, openedAtMs: now, source: "127.0.0.1" };
    const given = this.#given(each, now);
    const connect = operation(session, "connect", {
      text: "",
      accesses: [this.#connect(each, target)],
      understood: true,
    });
    const opening: Step = {
      text: "opening the session",
      decision: mayConnect(this.#index, session, connect, now, given),
      asked: { operation: connect, isConnect: true, now, given },
    };
    if (described.length === 0 || opening.decision.kind !== "permit") return [opening];
    return described.map((part): Step => {
      const asked = { operation: operation(session, "query", part), isConnect: false, now, given };
      return { text: part.text, decision: decide(this.#index, session, asked.operation, now, given), asked };
    });
  }

  /** What the case says of the session (its database), else what the adapter's sessions begin with. */
  #connect({ input, place }: TestCase, target: Target): Access {
    const tools = this.#tools.get(target.adapter);
    const usual = tools?.connect(this.#catalogOf(target), { place }) ?? { class: "connect", facts: {} };
    if (input.kind !== "accesses") return { ...usual, ambient: true };
    const facts = { ...usual.facts };
    const keys = Object.entries(this.#index.vocabularies.get(target.adapter)?.keys ?? {});
    for (const [key, { ofSession }] of keys) {
      if (ofSession !== true) continue;
      const fact = input.accesses.map((access) => access.facts[key]).find((each) => each !== undefined);
      if (fact !== undefined) facts[key] = fact;
    }
    return { ...usual, facts, ambient: true };
  }

  #given(each: TestCase, now: TimeMs): Given {
    const { issuer, subject } = each.identity;
    const grants = each.grants.flatMap((id) => {
      const rule = this.#index.byId.get(id);
      if (rule?.effect !== "permit" || rule.activation === null) return [];
      const expiresAtMs = now + rule.activation.maxDurationMs;
      return [{ id: `test-${id}`, rule: id, ruleDigest: rule.digest, issuer, subject, expiresAtMs }];
    });
    const approvals = each.approvals.map(({ identity, atMs }) => ({
      issuer: identity.issuer,
      subject: identity.subject,
      groups: identity.groups,
      atMs: atMs ?? now,
    }));
    return { grants, approvals, ...each.given };
  }

  #catalogOf({ name, adapter }: KnownTarget): CatalogTarget | null {
    const target = this.#set.catalog?.targets.get(name);
    return target === undefined || target.adapter !== adapter ? null : target;
  }

  #targetOf({ name, adapter, labels }: KnownTarget): Target {
    let target = this.#targets.get(name);
    if (target === undefined) this.#targets.set(name, (target = { name, adapter, labels, settings: null }));
    return target;
  }
}

function operation(
  session: Session,
  kind: string,
  { text, accesses, understood }: { readonly text: string; readonly accesses: Accesses; readonly understood: boolean },
): Operation {
  return { id: "test", session, kind, accesses, understood, text, textSha256: null, catalogDigest: null };
}

/** The first step that is not permitted stands for all of them; when all are, they count together. */
function summary(steps: readonly Step[]): Decided {
  const refused = steps.find(({ decision }) => decision.kind !== "permit");
  const counted = refused === undefined ? steps : [refused];
  const decisions = counted.map(({ decision }) => decision);
  const last = refused?.decision;
  return {
    kind: last?.kind ?? "permit",
    rules: [...new Set(decisions.flatMap(({ rules }) => rules))].toSorted(),
    observed: [...new Set(decisions.flatMap(({ observed }) => observed))].toSorted(),
    obligations: decisions
      .map((decision) => (decision.kind === "deny" ? NO_OBLIGATIONS : decision.obligations))
      .reduce(joinObligations, NO_OBLIGATIONS),
    requirements: last?.kind === "ask" ? last.requirements : [],
    message: last?.kind === "deny" ? last.refusal.message : "",
    hint: last?.kind === "deny" ? last.refusal.hint : "",
  };
}

function failureOf({ case: { file, line, column, title }, failures }: CaseResult): Problem {
  return {
    severity: "error",
    file,
    line,
    column,
    code: "TEST_FAILED",
    message: `${title}: ${failures.join("; ")}`,
    suggestion: "",
  };
}

function cutOff({ file, line, column }: TestCase, left: number, timeMsMax: number): Problem {
  const message = `the tests took more than ${timeMsMax} ms, and ${left} cases were not run`;
  return { severity: "error", file, line, column, code: "TEST_FAILED", message, suggestion: "" };
}

function untestedProblem({ id, file, line, column }: Rule): Problem {
  const message = `no case is decided by ${id}`;
  return { severity: "warning", file, line, column, code: "UNTESTED_RULE", message, suggestion: "" };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
