/** Accesses as short lines, for tests that compare many of them. */
import { UNKNOWN, type Access } from "../../src/core/operation.ts";

/** `class verb relation(column, ...) fact ...`, with `?` for what is not known; columns without their relation. */
export function accessLine(access: Access): string {
  const { facts } = access;
  const words: string[] = [access.class, list(facts["verbs"])];
  const relation = facts["relations"];
  if (relation !== undefined) {
    const columns = facts["columns"];
    const shown =
      columns === undefined || typeof columns !== "object" ? list(columns) : columns.map(lastPart).join(" ");
    words.push(columns === undefined ? list(relation) : `${list(relation)}(${shown})`);
  }
  if (facts["functions"] !== undefined) words.push(`calls ${list(facts["functions"])}`);
  if (facts["unfiltered"] === true) words.push("unfiltered");
  if (access.opaque) words.push("opaque");
  if (access.ambient) words.push("ambient");
  return words.join(" ");
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function list(value: Access["facts"][string] | undefined): string {
  if (value === undefined) return "";
  if (value === UNKNOWN) return "?";
  return typeof value === "boolean" ? String(value) : value.join("+");
}
