/** Differences between policy sets as people read them: by change and rule, with who, where, what and when in few words. */
import type { RuleId } from "../../core/decision.ts";
import type { Vocabulary } from "../../core/vocabulary.ts";
import { accessWords } from "./access-words.ts";
import type { ChangeKind } from "./compare.ts";
import type { Difference, Differences } from "./diff.ts";
import type { GroupNames } from "../engine/obligation-words.ts";
import type { SubjectClass } from "./subject-classes.ts";
import { subjectWords } from "./subject-words.ts";

/** One change with everything that it is about. */
export type ReportedChange = {
  readonly kind: ChangeKind;
  readonly widens: boolean;
  readonly rules: readonly RuleId[];
  readonly was: string;
  readonly is: string;
  readonly cases: readonly ReportedCase[];
};

export type ReportedCase = {
  readonly subjects: readonly string[];
  readonly targets: readonly string[];
  /** What is done, or the columns that are masked otherwise. */
  readonly what: readonly string[];
  /** Conditions, grants and times under which alone it is so; empty: always. */
  readonly when: string;
};

/** A grant is asked for before it is known what for. */
const WHO_ASKS: ReportedCase = { subjects: ["whoever wants a grant of it"], targets: [], what: [], when: "" };

/** Puts differences together; those that widen come first. `vocabularies` by the adapter of each target. */
export function reportDifferences(
  { differences, grants }: Pick<Differences, "differences" | "grants">,
  vocabularyOf: (target: string) => Vocabulary | undefined,
  groups: GroupNames,
): readonly ReportedChange[] {
  const changes = Map.groupBy(differences, ({ change: { kind, widens, was, is }, rules }) =>
    JSON.stringify([kind, widens, was, is, rules]),
  );
  const reported = [...changes.values()].flatMap((alike): readonly ReportedChange[] => {
    const [first] = alike;
    if (first === undefined) return [];
    const { kind, widens, was, is } = first.change;
    return [{ kind, widens, was, is, rules: first.rules, cases: casesOf(alike, vocabularyOf, groups) }];
  });
  for (const { change, rule } of grants) {
    const { kind, widens, was, is } = change;
    reported.push({ kind, widens, was, is, rules: [rule], cases: [WHO_ASKS] });
  }
  return reported.toSorted((a, b) => Number(b.widens) - Number(a.widens) || compareTexts(keyOf(a), keyOf(b)));
}

function keyOf({ kind, rules, was, is }: ReportedChange): string {
  // Access before the rest: it says the most.
  return `${kind === "access" ? 0 : 1}${kind} ${rules.join()} ${was} ${is}`;
}

function casesOf(
  alike: readonly Difference[],
  vocabularyOf: (target: string) => Vocabulary | undefined,
  groups: GroupNames,
): readonly ReportedCase[] {
  // Who, where and to what: each with all circumstances under which it is so.
  const cells = [
    ...Map.groupBy(alike, ({ target, subject, accesses }) => `${target} ${whoKey(subject)} ${accesses.id}`).values(),
  ];
  const told = cells.flatMap((cell) => {
    const [first] = cell;
    return first === undefined
      ? []
      : [{ first, when: whenWords(cell), names: cell.flatMap(({ change }) => change.names) }];
  });
  const bySubject = Map.groupBy(told, ({ first, when }) => `${first.target} ${when} ${whoKey(first.subject)}`);
  const rows = [...bySubject.values()].map((row) => ({
    row,
    what: whatWords(row, vocabularyOf),
  }));
  const byWhat = Map.groupBy(rows, ({ row, what }) => JSON.stringify([row[0]?.first.target, row[0]?.when, what]));
  const lines = [...byWhat.values()].flatMap((same) => {
    const [one] = same;
    const first = one?.row[0];
    if (one === undefined || first === undefined) return [];
    const subjects = same.flatMap(({ row }) => row[0]?.first.subject ?? []);
    return [{ subjects: subjectWords(subjects, groups), target: first.first.target, when: first.when, what: one.what }];
  });
  const byTarget = Map.groupBy(lines, ({ subjects, when, what }) => JSON.stringify([subjects, when, what]));
  return [...byTarget.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    const { subjects, what, when } = first;
    return [{ subjects, targets: same.map(({ target }) => target), what, when }];
  });
}

type Told = { readonly first: Difference; readonly when: string; readonly names: readonly string[] };

function whatWords(row: readonly Told[], vocabularyOf: (target: string) => Vocabulary | undefined): readonly string[] {
  const names = [...new Set(row.flatMap((each) => each.names))].toSorted();
  if (names.length > 0) return names;
  const target = row[0]?.first.target ?? "";
  const connects = row.some(({ first }) => first.accesses.isConnect) ? ["opening a session"] : [];
  const accesses = row.filter(({ first }) => !first.accesses.isConnect).flatMap(({ first }) => first.accesses.members);
  return [...connects, ...accessWords(accesses, vocabularyOf(target))];
}

/** What all the circumstances have in common, beyond those that need nothing. */
function whenWords(cell: readonly Difference[]): string {
  const fewest = Math.min(...cell.map(({ grants }) => grants.length));
  const least = cell.filter(({ grants }) => grants.length === fewest);
  const grants = [...new Set(least.map((each) => each.grants.join(" and ")))].filter((text) => text !== "").toSorted();
  const words = grants.length === 0 ? [] : [`with a grant of ${grants.join(", or of ")}`];
  for (const key of least[0]?.conditions.keys() ?? []) {
    const answers = [...new Set(least.map(({ conditions }) => conditions.get(key) ?? null))];
    const text = key.slice(key.indexOf("\n") + 1).trim();
    if (answers.length === 1) words.push(`${answerWords(answers[0] ?? null)} ${text}`);
  }
  words.push(...timesWords(least));
  return words.join(", ");
}

/** Nothing when it is so at all times from now on, as long as no rule begins or ends to be valid. */
function timesWords(cell: readonly Difference[]): readonly string[] {
  const times = [...new Set(cell.map(({ time }) => time))];
  const near = times.filter(({ isNear }) => isNear);
  const [first] = (near.length > 0 ? near : times).toSorted((one, other) => one.at - other.at);
  if (first === undefined) return [];
  if (near.length === 0) return [`from ${timeWords(first.at)} on`];
  return near.length < (cell[0]?.times.filter(({ isNear }) => isNear).length ?? 0)
    ? [`at times such as ${timeWords(first.at)}`]
    : [];
}

function answerWords(answer: boolean | null): string {
  if (answer === null) return "when it cannot be told whether";
  return answer ? "when" : "unless";
}

/** `Mon 2026-11-23 09:00 UTC`. */
function timeWords(at: number): string {
  const date = new Date(at);
  const day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][date.getUTCDay()];
  return `${day} ${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function whoKey({ identity: { kind, subject, groups, owner } }: SubjectClass): string {
  return JSON.stringify([kind, subject, groups, owner]);
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
