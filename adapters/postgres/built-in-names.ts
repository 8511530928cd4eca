/** The names that a fresh PostgreSQL server has, so that a catalog file holds only what a target adds to them. */
import type { RelationKind } from "./catalog.ts";
import NAMES_15 from "./built-in-names/15.txt" with { type: "text" };
import NAMES_16 from "./built-in-names/16.txt" with { type: "text" };
import NAMES_17 from "./built-in-names/17.txt" with { type: "text" };
import NAMES_18 from "./built-in-names/18.txt" with { type: "text" };
import { expandTypes, namesIn, relationsIn } from "./known-names.ts";
import type { KnownNames, KnownRelation, NamesBySchema } from "./known-names.ts";

/** By major, in order; each but the first says what is different from the one before it. */
const TEXTS: readonly (readonly [major: number, text: string])[] = [
  [15, NAMES_15],
  [16, NAMES_16],
  [17, NAMES_17],
  [18, NAMES_18],
];

/** The majors whose names are kept, in order. */
export const BUILT_IN_MAJORS: readonly number[] = TEXTS.map(([major]) => major);

/** The newest kept major that is not newer than the server's; the oldest when all are. */
export function nearestBuiltInMajor(serverMajor: number): number {
  const older = BUILT_IN_MAJORS.filter((major) => major <= serverMajor);
  return older.at(-1) ?? BUILT_IN_MAJORS[0] ?? 0;
}

const read = new Map<number, KnownNames>();

/** Undefined when the names of this major are not kept. */
export function builtInNames(major: number): KnownNames | undefined {
  const last = BUILT_IN_MAJORS.indexOf(major);
  if (last === -1) return undefined;
  let names = read.get(major);
  if (names === undefined) {
    const reader = new BuiltInReader();
    for (const [, text] of TEXTS.slice(0, last + 1)) for (const line of text.split("\n")) reader.line(line);
    read.set(major, (names = reader.names()));
  }
  return names;
}

type Sets = Map<string, Set<string>>;
const NO_SETS: NamesBySchema = new Map();

/**
 * A line is one of: `table SCHEMA.NAME COLUMN...`, `view SCHEMA.NAME COLUMN...`, `index SCHEMA NAME...`,
 * `function SCHEMA NAME...`, `type SCHEMA NAME...`, `absent-type SCHEMA NAME...`; and what is gone since the major
 * before: `no relation SCHEMA NAME...`, `no function SCHEMA NAME...` and so on. Types are those that follow from nothing
 * else (known-names.ts). Built-in names hold neither spaces nor dots.
 */
class BuiltInReader {
  readonly #relations = new Map<string, Map<string, KnownRelation>>();
  readonly #lists: Readonly<Record<string, Sets>> = {
    function: new Map(),
    type: new Map(),
    "absent-type": new Map(),
  };

  line(line: string): void {
    const words = line.split(" ");
    const isGone = words[0] === "no";
    const [kind = "", where = "", ...names] = isGone ? words.slice(1) : words;
    if (kind === "table" || kind === "view") {
      const [schema = "", name = ""] = where.split(".");
      this.#add(schema, name, kind, names);
    } else if (kind === "index") {
      for (const name of names) this.#add(where, name, kind, []);
    } else if (kind === "relation") {
      for (const name of names) this.#relations.get(where)?.delete(name);
    } else {
      const sets = this.#lists[kind];
      const set = sets?.get(where) ?? new Set();
      for (const name of names)
        if (isGone) set.delete(name);
        else set.add(name);
      sets?.set(where, set);
    }
  }

  names(): KnownNames {
    const { function: functions = NO_SETS, type = NO_SETS, "absent-type": absent = NO_SETS } = this.#lists;
    const known = { relations: this.#relations, functions, types: new Map<string, ReadonlySet<string>>() };
    const schemas = new Set([...this.#relations.keys(), ...type.keys()]);
    const types: NamesBySchema = new Map(
      [...schemas].map((schema) => [
        schema,
        expandTypes(namesIn(type, schema), namesIn(absent, schema), relationsIn(known, schema)),
      ]),
    );
    return { ...known, types };
  }

  #add(schema: string, name: string, kind: RelationKind, columns: readonly string[]): void {
    const members = this.#relations.get(schema) ?? new Map<string, KnownRelation>();
    this.#relations.set(schema, members.set(name, { kind, columns: columns.map((column) => [column, null]) }));
  }
}
