/** Says line by line whether a database is as guarded mode needs it; it asks as the gateway's ordinary login. */
import type { CheckLine } from "./check-line.ts";
import { checkComparisons } from "./comparisons.ts";
import { checkCreating, checkFunctions } from "./check-reach.ts";
import { checkColumns, checkOtherRights } from "./check-relations.ts";
import { checkLogin, checkRoles } from "./check-roles.ts";
import { checkViews } from "./check-views.ts";
import type { Expected } from "./expected.ts";
import type { Query } from "./rights.ts";

/** Needs no right but to connect. Rejects with what `query` rejects with. */
export async function selfCheck(query: Query, expected: Expected): Promise<readonly CheckLine[]> {
  const { lines, login } = await checkRoles(query, expected);
  if (login === null) return lines;
  return [
    ...lines,
    ...(await checkLogin(query, expected, login)),
    ...(await checkFunctions(query, expected, login)),
    ...(await checkCreating(query, expected, login)),
    ...(await checkColumns(query, expected, login)),
    ...(await checkViews(query, expected, login)),
    ...(await checkComparisons(query, expected, login)),
    await checkOtherRights(query, expected, login),
  ];
}

/** Null when what is masked may be served, else why not, as a sentence for people. Rejects with what `query` rejects with. */
export async function whyNotServed(query: Query, expected: Expected): Promise<string | null> {
  const lines = await selfCheck(query, expected);
  return lines.find(({ ok, isVital }) => isVital && !ok)?.text ?? null;
}
