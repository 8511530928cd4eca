/** What is wrong with a configuration, and where: the one shape for every error and warning about it. */

export type Problem = {
  readonly severity: "error" | "warning";
  /** For programs; stable. */
  readonly code: ProblemCode;
  /** The file as the user named it. */
  readonly file: string;
  /** Counted from 1; null when the problem is with the file as a whole. */
  readonly line: number | null;
  readonly column: number | null;
  /** What is wrong and what to do about it. Never holds a value that came from the environment or another file. */
  readonly message: string;
};

export type ProblemCode =
  | "UNREADABLE" // the file, or one it names, cannot be read
  | "SYNTAX" // not YAML, or YAML that weir refuses (duplicate keys, anchors, tags)
  | "UNKNOWN_KEY"
  | "MISSING_KEY"
  | "WRONG_TYPE"
  | "BAD_VALUE"
  | "MISSING_ENV"
  | "NOT_KEPT" // asks for a promise that this version does not keep
  | "PORT_IN_USE"
  | "TARGET_UNREACHABLE"
  | "NOT_GUARDED" // the target's database is not as guarded masking needs it
  | "INLINE_MASKING" // policy masks columns of the target, and nothing in the database stands behind it
  | "NOT_SERVED"; // a part that this version reads and leaves alone

/** One line: `weir.yaml:3:5 error UNKNOWN_KEY ...`. */
export function formatProblem(problem: Problem): string {
  const at = problem.line === null ? problem.file : `${problem.file}:${problem.line}:${problem.column ?? 1}`;
  return `${at} ${problem.severity} ${problem.code} ${problem.message}`;
}
