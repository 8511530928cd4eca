/** Both sides of `OLD..NEW`, loaded as the gateway loads a set, with the targets that they are for. */
import { KEEPS, VOCABULARIES } from "../../adapters/index.ts";
import type { Target } from "../core/target.ts";
import { compileFolder } from "../policy/load.ts";
import type { LoadedSet } from "../policy/load.ts";
import { hasErrors } from "../policy/problems.ts";
import { parseRange, readRevision, RevisionUnknown } from "../policy/set/revision.ts";
import type { Revision, RevisionName } from "../policy/set/revision.ts";
import type { Side } from "../policy/compare/diff.ts";
import { CommandError } from "./command.ts";
import { policyProblemLines } from "./policy-problems.ts";

export type LoadedSide = Side & { readonly revision: Revision };

/** `configured`: targets of the configuration, of which a set without a catalog says nothing. Throws CommandError. */
export async function loadSides(
  range: string,
  folder: string,
  configured: readonly Target[] | null,
): Promise<readonly [LoadedSide, LoadedSide]> {
  const [old, young] = await finding(() => parseRange(range, folder));
  return [await loadSide(old, folder, configured), await loadSide(young, folder, configured)];
}

export async function loadSide(
  name: RevisionName,
  folder: string,
  configured: readonly Target[] | null,
): Promise<LoadedSide> {
  const revision = await finding(() => readRevision(name, folder));
  // Another commit may be about targets that are no longer configured: what it says of names is not held against it.
  const set = await compileFolder(revision.folder, VOCABULARIES, null, KEEPS);
  if (hasErrors(set.problems)) {
    const errors = set.problems.filter(({ severity }) => severity === "error");
    const lines = policyProblemLines(errors, revision.folder.realDir);
    throw new CommandError(`the policies of ${revision.text} have errors:\n      ${lines.join("\n      ")}`);
  }
  return { set, targets: targetsOf(set, configured), revision };
}

/** Those of the catalog, and of the configuration what the catalog does not have. */
function targetsOf({ catalog }: LoadedSet, configured: readonly Target[] | null): readonly Target[] {
  const known = [...(catalog?.targets.values() ?? [])].map(({ name, adapter, labels }): Target => ({
    name,
    adapter,
    labels,
    settings: null,
  }));
  const names = new Set(known.map(({ name }) => name));
  return [...known, ...(configured ?? []).filter(({ name }) => !names.has(name))];
}

async function finding<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RevisionUnknown) throw new CommandError(error.message, error.next);
    throw error;
  }
}
