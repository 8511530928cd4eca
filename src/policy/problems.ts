/** What is wrong with a policy set, and where: the one shape of every error and warning about it. */

/** For programs; stable. */
export type ProblemCode =
  | "UNREADABLE" // a file or the folder cannot be read
  | "TOO_LARGE" // a limit in numbers was passed
  | "SYNTAX" // not YAML, or YAML that weir refuses (anchors, tags, several documents)
  | "DUPLICATE_KEY"
  | "WRONG_FOLDER" // the file does not belong where it lies
  | "UNKNOWN_KEY"
  | "MISSING_KEY"
  | "WRONG_TYPE"
  | "BAD_VALUE"
  | "DUPLICATE_ID"
  | "UNKNOWN_TARGET"
  | "UNKNOWN_LABEL"
  | "UNKNOWN_GROUP"
  | "UNKNOWN_SET"
  | "UNKNOWN_PATTERN"
  | "UNKNOWN_CLASSIFIER"
  | "UNKNOWN_WINDOW"
  | "UNKNOWN_EXCEPTION"
  | "UNKNOWN_PERSON" // a case of a test names nobody of its file
  | "UNKNOWN_RULE" // a case of a test names a rule that there is not
  | "UNKNOWN_GRANT" // `grant` or `grants` names no permit with activation
  | "UNKNOWN_NAME" // a relation, column or tool that the catalog does not have
  | "BAD_PATTERN" // a regular expression that cannot be read, costs too much, or does not do what its samples say
  | "BAD_CONDITION"
  | "CANNOT_BE_KEPT" // an obligation that an adapter can never keep
  | "COLUMN_NOT_MASKED"
  | "CATALOG_DIGEST" // a file of the catalog was changed by hand
  | "TEST_FAILED" // the set does not do what one of its own tests says
  | "TARGET_LABELS" // a configured target lacks a required label or has a value that is not allowed
  | "MATCHES_NOTHING" // warnings from here on
  | "NOTHING_PERMITTED"
  | "NOT_KEPT_YET" // an obligation that this version does not keep
  | "PERMIT_FOR_ANY_SUBJECT"
  | "AGENT_PERMIT_WITHOUT_END"
  | "CONDITION_COULD_BE_MATCHERS"
  | "UNREACHABLE" // a permit that guards deny wherever it could count
  | "SHADOWED" // a rule without which every decision would be the same
  | "LIMIT_HAS_NO_EFFECT"
  | "MASK_CONFLICT"
  | "MASK_BECOMES_STRICTER" // a target cannot keep a mask as it is written
  | "BLOCKS_UNREAD" // a guard that denies what cannot be read, because it could be what it names
  | "NO_APPROVER"
  | "PROGRAM_WITHOUT_ARGV"
  | "CHECKS_INCOMPLETE" // the set is too large to compare all of its rules
  | "UNTESTED_RULE"; // no case of a test is decided by the rule

export type Problem = {
  readonly severity: "error" | "warning";
  /** Relative to the policy folder; `.` is the folder itself. */
  readonly file: string;
  /** Counted from 1; null when the problem is with the file as a whole. */
  readonly line: number | null;
  readonly column: number | null;
  readonly code: ProblemCode;
  /** What is wrong, in one sentence. */
  readonly message: string;
  /** What to do about it; empty when the message says it all. */
  readonly suggestion: string;
};

/** One line: `guards/production.yaml:3:5 error UNKNOWN_KEY ...`. */
export function formatProblem(problem: Problem): string {
  const at = problem.line === null ? problem.file : `${problem.file}:${problem.line}:${problem.column ?? 1}`;
  const text = `${at} ${problem.severity} ${problem.code} ${problem.message}`;
  return problem.suggestion === "" ? text : `${text}. ${problem.suggestion}`;
}

/** True when any of them keeps the set from loading. */
export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === "error");
}

/** Sorts by file, then by place, so that the same set always gives the same list. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted(
    (a, b) =>
      compare(a.file, b.file) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0) ||
      compare(a.code, b.code) ||
      compare(a.message, b.message),
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The set cannot be used; `problems` holds at least one error. */
export class PolicyInvalid extends Error {
  readonly code = "POLICY_INVALID";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const errors = problems.filter((problem) => problem.severity === "error");
    super(
      `the policy set has ${errors.length === 1 ? "an error" : `${errors.length} errors`}:\n${errors.map(formatProblem).join("\n")}`,
    );
    this.name = "PolicyInvalid";
    this.problems = problems;
  }
}
