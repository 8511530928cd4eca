/** What the values of a column are found to be, as far as a sample tells. */
import type { Classifier } from "../core/classifiers.ts";
import { KINDS, Scanner } from "./scanner.ts";

/** A kind, and the part of the values (0 to 1, of those that are there) that hold one. */
export type ContentShare = { readonly kind: Classifier; readonly share: number };

/** Kinds that other numbers are by chance: one in ten of those of their length, or one in eleven. */
const BY_CHANCE: ReadonlySet<Classifier> = new Set<Classifier>(
  KINDS.filter((kind) => kind === "card-number" || kind === "phone" || kind.startsWith("national-id-")),
);
const SHARE_BY_CHANCE_MIN = 0.5;

const utf8 = new TextEncoder();
let scanner: Scanner | null = null;

/** The kinds that the values hold, the most frequent first. */
export function contentOf(values: readonly (string | null)[]): readonly ContentShare[] {
  scanner ??= new Scanner(KINDS);
  const counts = new Map<Classifier, number>();
  let present = 0;
  for (const value of values) {
    if (value === null || value === "") continue;
    present++;
    const bytes = utf8.encode(value);
    const found = scanner.find(bytes, 0, bytes.length);
    const kinds = new Set<Classifier>();
    for (let index = 0; index < found; index++) {
      const kind = scanner.kinds[scanner.scan.spans[3 * index + 2] ?? -1];
      if (kind !== undefined) kinds.add(kind);
    }
    for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return Array.from(counts, ([kind, count]) => ({ kind, share: count / present }))
    .filter(({ kind, share }) => !BY_CHANCE.has(kind) || share >= SHARE_BY_CHANCE_MIN)
    .toSorted((a, b) => b.share - a.share || (a.kind < b.kind ? -1 : 1));
}
