/** What policy.yaml says for all rules of a set. */
import type { Requirement } from "../../core/obligation.ts";
import { compileDuration } from "./compile-quantity.ts";
import type { Reporter } from "./compile-quantity.ts";
import type { Shaped } from "./documents.ts";
import type { Problem } from "../problems.ts";
import { quote } from "./shape.ts";
import type { Path } from "./source.ts";
import { isTimeZone, suggestTimeZone } from "./window.ts";

export type ApprovalTimes = Pick<
  Extract<Requirement, { kind: "approval" }>,
  "count" | "withinMs" | "validForMs" | "uses"
>;

export type SetSettings = {
  readonly name: string;
  /** IANA name: of days, and of windows that have none of their own. */
  readonly timeZone: string;
  /** Of approvals that do not say it themselves. */
  readonly approvalTimes: ApprovalTimes;
};

/** Where policy.yaml says nothing. */
const DEFAULTS: SetSettings = {
  name: "",
  timeZone: "UTC",
  approvalTimes: { count: 1, withinMs: 1_800_000, validForMs: 900_000, uses: 1 },
};

export function readSettings(set: Shaped<"PolicySet"> | undefined, problems: Problem[]): SetSettings {
  if (set === undefined) return DEFAULTS;
  const { file, source } = set;
  const to: Reporter = {
    error: (code, path, message, suggestion) => problems.push(source.problem(code, path, message, { suggestion })),
  };
  const approvalTimes =
    file.approval === undefined
      ? DEFAULTS.approvalTimes
      : compileApprovalTimes(to, file.approval, ["approval"], DEFAULTS.approvalTimes);
  const { name, timeZone } = file;
  if (timeZone === undefined || isTimeZone(timeZone))
    return { name, timeZone: timeZone ?? DEFAULTS.timeZone, approvalTimes };
  to.error("BAD_VALUE", ["timeZone"], `there is no time zone ${quote(timeZone)}`, suggestTimeZone(timeZone));
  return { name, timeZone: DEFAULTS.timeZone, approvalTimes };
}

type WrittenTimes = {
  readonly count?: number;
  readonly within?: string;
  readonly validFor?: string;
  readonly uses?: number;
};

/** `defaults` is what is taken for what is not written. */
export function compileApprovalTimes(
  to: Reporter,
  written: WrittenTimes,
  path: Path,
  defaults: ApprovalTimes,
): ApprovalTimes {
  return {
    count: written.count ?? defaults.count,
    withinMs: compileDuration(to, written.within, [...path, "within"]) ?? defaults.withinMs,
    validForMs: compileDuration(to, written.validFor, [...path, "validFor"]) ?? defaults.validForMs,
    uses: written.uses ?? defaults.uses,
  };
}
