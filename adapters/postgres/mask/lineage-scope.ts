/** Names in the query of a view, and the stored columns behind each. When in doubt, all that a name may mean. */
import { NotUnderstood } from "../describe/tree.ts";

/** Stored columns, by columnKey(). */
export type Reads = ReadonlySet<number>;

export const NO_READS: Reads = new Set<number>();

/** Attribute numbers are below this (MaxHeapAttributeNumber is 1600). */
const ATTNUM_BASE = 2048;

/** One number for a column of a relation. */
export function columnKey(relationOid: number, attnum: number): number {
  return relationOid * ATTNUM_BASE + attnum;
}

/** The relation's oid. */
export function relationOfKey(key: number): number {
  return Math.floor(key / ATTNUM_BASE);
}

/** A column that a query shows, or that something in its FROM list has. */
export type Shown = { readonly name: string; readonly reads: Reads };

/** Something in a FROM list. */
export type Source = {
  /** Null: nothing can name it. */
  readonly name: string | null;
  readonly schema: string | null;
  /** In order; a name may stand there twice. */
  readonly columns: readonly Shown[];
  /** It may have other columns, which read what all of it reads. */
  readonly isOpen: boolean;
  /** What a whole row of it reads. */
  readonly all: Reads;
  /** Unqualified names do not find it. */
  readonly onlyQualified?: true;
};

/** One query level, and those around it. */
export type Level = { readonly sources: readonly Source[]; readonly parent: Level | null };

/** Columns that every table has, and that say nothing of its values. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"]);

export function makeSource(
  name: string | null,
  columns: readonly Shown[],
  more: { readonly schema?: string | null; readonly isOpen?: boolean; readonly all?: Reads } = {},
): Source {
  const all = more.all ?? union(columns.map(({ reads }) => reads));
  return { name, schema: more.schema ?? null, columns, isOpen: more.isOpen ?? false, all };
}

/** The first columns get the listed names. Throws when there are more names than columns, unless others may be there. */
export function renamed(columns: readonly Shown[], listed: readonly string[], open: Reads | null = null): Shown[] {
  if (listed.length > columns.length && open === null) throw new NotUnderstood("a list of names is too long");
  const result = columns.map(({ name, reads }, index) => ({ name: listed[index] ?? name, reads }));
  for (const name of listed.slice(columns.length)) result.push({ name, reads: open ?? NO_READS });
  return result;
}

/** An unqualified name: a column, or the whole row of a source. */
export function readsOfName(level: Level, name: string): Reads {
  const found: Reads[] = [];
  for (let at: Level | null = level; at; at = at.parent) {
    let isFound = false;
    for (const source of at.sources) {
      if (source.onlyQualified) continue;
      const own = readsInside(source, name);
      if (own !== null) found.push(own);
      else if (source.isOpen) found.push(source.all);
      isFound ||= own !== null;
    }
    if (isFound) return union(found);
  }
  for (let at: Level | null = level; at; at = at.parent) {
    const named = at.sources.filter((source) => source.name === name);
    if (named.length > 0) return union([...found, ...named.map(({ all }) => all)]);
  }
  if (found.length > 0 || isSystemColumn(level, name)) return union(found);
  throw new NotUnderstood(`nothing in sight is called "${name}"`);
}

/** `source.name`, or with a schema before it; `name` null: `source.*`. */
export function readsOfQualified(level: Level, schema: string | null, sourceName: string, name: string | null): Reads {
  for (let at: Level | null = level; at; at = at.parent) {
    const named = at.sources.filter(
      (source) => source.name === sourceName && (schema === null || source.schema === schema),
    );
    if (named.length === 0) continue;
    return union(
      named.map((source) => {
        if (name === null) return source.all;
        const own = readsInside(source, name);
        if (own !== null) return own;
        if (SYSTEM_COLUMNS.has(name)) return NO_READS;
        if (source.isOpen) return source.all;
        throw new NotUnderstood(`"${sourceName}" has no column "${name}"`);
      }),
    );
  }
  throw new NotUnderstood(`nothing in sight is called "${sourceName}"`);
}

function readsInside(source: Source, name: string): Reads | null {
  const found = source.columns.filter((column) => column.name === name);
  return found.length === 0 ? null : union(found.map(({ reads }) => reads));
}

function isSystemColumn(level: Level, name: string): boolean {
  return level.sources.length > 0 && SYSTEM_COLUMNS.has(name);
}

export function union(sets: readonly Reads[]): Reads {
  const filled = sets.filter((set) => set.size > 0);
  const [only] = filled;
  if (only === undefined) return NO_READS;
  if (filled.length === 1) return only;
  const all = new Set<number>();
  for (const set of filled) for (const key of set) all.add(key);
  return all;
}
