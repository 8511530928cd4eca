/** Columns that policy keeps out of conditions, behind the outputs of a query: whoever compares an output compares them. */
import type { Fields } from "../parser.ts";
import type { BaseColumn, Source } from "./scope.ts";
import { isKeptOutOfUse } from "./tracked-columns.ts";
import { bareOf, isGap, listOf, nameOf, namesOf, nodesOf, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

/** `name` null: the server names it. */
type Output = { readonly name: string | null; readonly columns: readonly BaseColumn[] };

export class KeptOut {
  readonly #outputs: Output[];
  /** Each output has its place; otherwise some `*` is of unknown width. */
  #isPlaced = true;

  constructor(outputs: readonly Output[] = []) {
    this.#outputs = [...outputs];
  }

  /** An item of a select list; `columns`: those kept out that it names. */
  add(target: Node, columns: readonly BaseColumn[]): void {
    this.#outputs.push({ name: outputName(target), columns });
  }

  /** What `*` stands for. */
  addAllOf(sources: readonly Source[]): void {
    for (const source of sources) {
      if (source.onlyQualified) continue;
      this.#isPlaced &&= !source.isOpen;
      for (const name of source.columns.keys())
        this.#outputs.push({ name, columns: (source.columns.get(name) ?? []).filter(isKeptOutOfUse) });
    }
  }

  get(name: string): readonly BaseColumn[] {
    return this.#outputs.flatMap((output) => (output.name === name ? output.columns : []));
  }

  get all(): readonly BaseColumn[] {
    return this.#outputs.flatMap(({ columns }) => columns);
  }

  /** Under the names of a list of aliases, which stand for the first outputs. */
  renamed(listed: readonly string[]): KeptOut {
    const { all } = this;
    if (!this.#isPlaced) return new KeptOut(listed.map((name) => ({ name, columns: all })));
    return new KeptOut(this.#outputs.map(({ name, columns }, index) => ({ name: listed[index] ?? name, columns })));
  }

  /** With what the other side of a set operation shows in the same places. */
  with(other: KeptOut): KeptOut {
    const isPlaced = this.#isPlaced && other.#isPlaced;
    return new KeptOut(
      this.#outputs.map(({ name, columns }, index) => {
        const others = isPlaced ? (other.#outputs[index]?.columns ?? []) : other.all;
        return { name, columns: columns.concat(others) };
      }),
    );
  }

  /** Those that ORDER BY, GROUP BY and DISTINCT of a query compare, by the names and numbers of its outputs. */
  compared(query: Fields): readonly BaseColumn[] {
    const distinct = listOf(query["distinctClause"]);
    if (distinct.some(isGap)) return this.all;
    const sorted = nodesOf(query["sortClause"]).map((item) => unwrap(item.fields["node"]));
    return [...sorted, ...nodesOf(query["groupClause"]), ...nodesOf(distinct)].flatMap((item) => this.#meant(item));
  }

  /** The output that an item means by its name or number; none when it is another expression. */
  #meant({ kind, fields }: Node): readonly BaseColumn[] {
    if (kind === "A_Const") {
      const number = bareOf(fields["ival"])?.["ival"];
      if (typeof number !== "number") return [];
      return this.#isPlaced ? (this.#outputs[number - 1]?.columns ?? []) : this.all;
    }
    const [only, ...rest] = kind === "ColumnRef" ? nodesOf(fields["fields"]) : [];
    return only?.kind === "String" && rest.length === 0 ? this.get(nameOf(only)) : [];
  }
}

/** The name of an item of a select list; null for most that the server names. */
function outputName({ fields }: Node): string | null {
  const given = textOf(fields["name"]);
  if (given !== "") return given;
  const value = unwrap(fields["val"]);
  if (value.kind === "FuncCall") return namesOf(value.fields["funcname"]).at(-1) ?? null;
  const last = value.kind === "ColumnRef" ? nodesOf(value.fields["fields"]).at(-1) : undefined;
  return last?.kind === "String" ? nameOf(last) : null;
}
