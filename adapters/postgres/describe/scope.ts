/** Which columns a name may mean: the sources of each query level, innermost first. When in doubt, all that it may mean. */
import type { RelationUse } from "./collector.ts";
import type { KeptOut } from "./kept-out.ts";
import type { SourceReference } from "./references.ts";

/** A column of a stored relation; what a derived table computes has none, as its own query has named them already. */
export type BaseColumn = { readonly use: RelationUse; readonly column: string };

/** The columns a source shows, each with the stored columns behind it. */
export type Columns = {
  get(name: string): readonly BaseColumn[] | undefined;
  has(name: string): boolean;
  keys(): Iterable<string>;
};

/** A relation's own columns, under their own names. */
class OwnColumns implements Columns {
  readonly #use: RelationUse;
  readonly #columns: ReadonlyMap<string, string>;

  constructor(use: RelationUse, columns: ReadonlyMap<string, string>) {
    this.#use = use;
    this.#columns = columns;
  }

  get(name: string): readonly BaseColumn[] | undefined {
    return this.#columns.has(name) ? [{ use: this.#use, column: name }] : undefined;
  }

  has(name: string): boolean {
    return this.#columns.has(name);
  }

  keys(): Iterable<string> {
    return this.#columns.keys();
  }
}

/** Something in a FROM list that columns can be taken from. */
export type Source = {
  /** What it is called: its alias or its own name; null when nothing can name it. */
  readonly name: string | null;
  /** The schema by which it may be qualified too: only a relation without an alias has one. */
  readonly schema: string | null;
  /** In order. */
  readonly columns: Columns;
  /** It may have other columns, which lead to no stored relation that is not in `uses`. */
  readonly isOpen: boolean;
  /** The stored relations that a whole row of it reads. */
  readonly uses: readonly RelationUse[];
  /** The relations whose rows FOR UPDATE locks through it: those of a derived table's own FROM too. */
  readonly lockable: readonly RelationUse[];
  /** Where it stands in the text, when something of it is masked. */
  readonly reference: SourceReference | null;
  /** Unqualified names do not find it (`excluded`, `old`, `new`, and the relations inside a join with an alias). */
  readonly onlyQualified?: true;
};

/** Columns that every table has and no list shows. */
export const SYSTEM_COLUMNS = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"] as const;
/** Of these, what the login of guarded mode may read: what drivers and ORMs ask for, and holds nothing of a row's values. */
export const READABLE_SYSTEM_COLUMNS: readonly string[] = ["tableoid", "ctid", "xmin"];
const IS_SYSTEM_COLUMN: ReadonlySet<string> = new Set(SYSTEM_COLUMNS);

export function isSystemColumn(name: string): boolean {
  return IS_SYSTEM_COLUMN.has(name);
}

/** One query level. */
export type Level = {
  readonly sources: readonly Source[];
  /** False when some source may not be visible here, so that a name found may still mean one further out. */
  readonly isExact: boolean;
  /** Names of output columns, for ORDER BY and GROUP BY. */
  readonly outputs?: ReadonlySet<string>;
  readonly parent: Level | null;
};

export function referToColumn(columns: readonly BaseColumn[]): void {
  for (const { use, column } of columns) use.columns.add(column);
}

/** A whole row of a source: every column of the relations behind it. */
export function referToRow(source: Source): void {
  for (const name of source.columns.keys()) referToColumn(source.columns.get(name) ?? []);
  for (const use of source.uses) referToEveryColumn(use);
}

/** All columns of a stored relation. */
export function referToEveryColumn(use: RelationUse): void {
  use.isWhole = true;
  if (use.relation.columns === null) use.columnsUnknown = true;
  else for (const column of use.relation.columns.keys()) use.columns.add(column);
}

/** Every source in sight may hold what was named. */
function referToUnknown(level: Level | null): void {
  for (let at = level; at; at = at.parent) {
    for (const source of at.sources) for (const use of source.uses) use.columnsUnknown = true;
  }
}

/** An unqualified name: a column, or the whole row of a source of that name. */
export function referByName(level: Level, name: string): void {
  let isFound = false;
  let mayBeComputed = false;
  for (let at: Level | null = level; at; at = at.parent) {
    let isFoundHere = false;
    for (const source of at.sources) {
      if (source.onlyQualified) continue;
      if (referInside(source, name)) isFoundHere = true;
      else if (source.isOpen) mayBeComputed = true;
    }
    if (at.outputs?.has(name)) mayBeComputed = true;
    isFound ||= isFoundHere;
    if (isFoundHere && at.isExact) return;
  }
  for (let at: Level | null = level; at; at = at.parent) {
    const named = at.sources.filter((source) => source.name === name);
    for (const source of named) referToRow(source);
    isFound ||= named.length > 0;
    if (named.length > 0 && at.isExact) break;
  }
  if (!isFound && !mayBeComputed) referToUnknown(level);
}

/** `source.name`, or with a schema before it. False when the source is not known to have such a column: it may be a function. */
export function referQualified(level: Level, schema: string | null, sourceName: string, name: string): boolean {
  let isSourceFound = false;
  let isColumn = true;
  for (let at: Level | null = level; at; at = at.parent) {
    const named = sourcesNamed(at, schema, sourceName);
    for (const source of named) {
      if (referInside(source, name)) continue;
      referToRow(source);
      isColumn = false;
    }
    isSourceFound ||= named.length > 0;
    if (named.length > 0 && at.isExact) break;
  }
  if (!isSourceFound) referToUnknown(level);
  return isColumn;
}

/** `source.*`. */
export function referToAllOf(level: Level, schema: string | null, sourceName: string): readonly Source[] {
  const found: Source[] = [];
  for (let at: Level | null = level; at; at = at.parent) {
    const named = sourcesNamed(at, schema, sourceName);
    for (const source of named) referToRow(source);
    found.push(...named);
    if (named.length > 0 && at.isExact) return found;
  }
  if (found.length === 0) referToUnknown(level);
  return found;
}

function sourcesNamed(level: Level, schema: string | null, name: string): Source[] {
  return level.sources.filter((source) => source.name === name && (schema === null || source.schema === schema));
}

function referInside(source: Source, name: string): boolean {
  const columns = source.columns.get(name);
  if (columns) {
    referToColumn(columns);
    return true;
  }
  if (!isSystemColumn(name) || source.uses.length === 0) return false;
  for (const use of source.uses) use.columns.add(name);
  return true;
}

/** A relation in a FROM list, or the target of a modification. Listed names replace those of its first columns. */
export function relationSource(
  use: RelationUse,
  alias: string | null,
  schema: string | null,
  listed: readonly string[],
  reference: SourceReference | null = null,
): Source {
  return {
    name: alias,
    schema,
    columns: relationColumns(use, listed),
    isOpen: use.relation.columns === null,
    uses: [use],
    lockable: [use],
    reference,
  };
}

function relationColumns(use: RelationUse, listed: readonly string[]): Columns {
  const own = use.relation.columns;
  if (own !== null && listed.length === 0) return new OwnColumns(use, own);
  const columns = new Map<string, readonly BaseColumn[]>();
  for (const [index, column] of [...(own?.keys() ?? [])].entries()) {
    const shown = listed[index] ?? column;
    columns.set(shown, [...(columns.get(shown) ?? []), { use, column }]);
  }
  // Which columns the listed names stand for is not known: reading one reads any.
  if (own === null) for (const name of listed) columns.set(name, []);
  return columns;
}

/**
 * A derived table: its columns are computed, so they lead to nothing stored that is not named already, but for what
 * masks keep out of conditions.
 */
export function derivedSource(
  name: string | null,
  columns: readonly string[],
  isOpen: boolean,
  lockable: readonly RelationUse[] = [],
  keptOut: KeptOut | null = null,
): Source {
  const shown = new Map(columns.map((column) => [column, keptOut?.get(column) ?? []]));
  return { name, schema: null, columns: shown, isOpen, uses: [], lockable, reference: null };
}

/** The source that a name with its schema means, and whether the name alone could mean another one. */
export function schemaQualified(
  level: Level,
  schema: string,
  name: string,
): { source: Source; isAmbiguous: boolean } | null {
  let found: Source | null = null;
  let isAmbiguous = false;
  for (let at: Level | null = level; at; at = at.parent) {
    for (const source of sourcesNamed(at, null, name)) {
      if (found === null && source.schema === schema) found = source;
      else isAmbiguous = true;
    }
    if (found !== null && at.isExact) break;
  }
  return found && { source: found, isAmbiguous };
}

/** The names a source shows for `*`, and whether there may be others. */
export function shownColumns(sources: readonly Source[]): { names: string[]; isOpen: boolean } {
  const visible = sources.filter((source) => !source.onlyQualified);
  return {
    names: visible.flatMap((source) => [...source.columns.keys()]),
    isOpen: visible.some((source) => source.isOpen),
  };
}
