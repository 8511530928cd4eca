/** What has changed between two catalogs of one target. */
import type { CatalogTarget } from "../../core/policy-tools.ts";

export type KeyChange = {
  readonly key: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
};

export type CatalogChange = {
  /** Keys of the vocabulary whose names have changed. */
  readonly names: readonly KeyChange[];
  /** Labels as `key: value`. */
  readonly labels: KeyChange | null;
  /** Nothing that policy names, but how texts are read: kinds, types, settings. */
  readonly onlyDetail: boolean;
};

/** Null when nothing has. */
export function catalogChange(before: CatalogTarget, after: CatalogTarget): CatalogChange | null {
  if (before.digest === after.digest) return null;
  const keys = new Set([...Object.keys(before.names), ...Object.keys(after.names)]);
  const names = [...keys]
    .toSorted()
    .map((key) => keyChange(key, before.names[key] ?? [], after.names[key] ?? []))
    .filter((change) => change !== null);
  const labels = keyChange("labels", labelTexts(before), labelTexts(after));
  return { names, labels, onlyDetail: names.length === 0 && labels === null };
}

function keyChange(key: string, before: readonly string[], after: readonly string[]): KeyChange | null {
  const was = new Set(before);
  const is = new Set(after);
  const added = after.filter((name) => !was.has(name));
  const removed = before.filter((name) => !is.has(name));
  return added.length === 0 && removed.length === 0 ? null : { key, added, removed };
}

function labelTexts({ labels }: CatalogTarget): readonly string[] {
  return Object.entries(labels).map(([key, value]) => `${key}: ${value}`);
}
