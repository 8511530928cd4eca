/** What RETURNING shows of a masked relation: constants stand in for its masked columns, since the relation itself stays. */
import { quoteIdentifier } from "../quote.ts";
import type { Fields } from "../parser.ts";
import { columnNamed, outputList } from "../mask/output-list.ts";
import type { References } from "./references.ts";
import type { Source } from "./scope.ts";
import type { TargetReference } from "./target-reference.ts";
import { nameOf, nodesOf, textOf, unwrap } from "./tree.ts";
import type { Node } from "./tree.ts";

export class ReturnedTarget {
  readonly #references: References;
  readonly #target: TargetReference;
  readonly #source: Source;
  readonly #others: readonly Source[];
  /** The names of the old and the new row, from 18. */
  readonly #versions: readonly string[];
  readonly #statement: Fields;

  constructor(
    references: References,
    target: TargetReference,
    source: Source,
    others: readonly Source[],
    versions: readonly string[],
    statement: Fields,
  ) {
    this.#references = references;
    this.#target = target;
    this.#source = source;
    this.#others = others;
    this.#versions = versions;
    this.#statement = statement;
  }

  /**
   * Puts constants into an item that shows columns of the target as they are: a column, its `*`, or all there is.
   * False: it is an expression, or about another source, and reads what it names.
   */
  replace(item: Node): boolean {
    const value = unwrap(item.fields["val"]);
    const parts = nodesOf(value.fields["fields"]);
    const last = parts.at(-1);
    // Only a column has such parts.
    if (!last) return false;
    const names = parts.slice(0, -1).map(nameOf);
    if (last.kind === "A_Star") return this.#replaceStar(value.fields, names);
    return this.#replaceColumn(value.fields, names, nameOf(last), textOf(item.fields["name"]) !== "");
  }

  #replaceStar(column: Fields, names: readonly string[]): boolean {
    const { relation } = this.#target;
    const qualifier = this.#qualifier(names);
    if (names.length > 0) {
      if (qualifier === null) return false;
      this.#references.edit("targets", column, outputList(relation, qualifier, "constant"));
      return true;
    }
    const others = this.#allOfOthers();
    if (others === null) {
      this.#references.refuse(
        `"*" in RETURNING cannot be masked beside such a FROM or USING list`,
        "List the columns in RETURNING by name.",
      );
      return true;
    }
    const own = outputList(relation, this.#source.name, "constant");
    // MERGE shows its source first.
    const shown = this.#statement["sourceRelation"] === undefined ? [own, ...others] : [...others, own];
    this.#references.edit("targets", column, shown.join(", "));
    return true;
  }

  #replaceColumn(column: Fields, names: readonly string[], name: string, isLabelled: boolean): boolean {
    if (names.length > 0 && this.#qualifier(names) === null) return false;
    const [found] = columnNamed(this.#target.relation, name);
    if (!found) return false;
    if (!found.mask) return true;
    const { constant } = found.mask;
    if (isLabelled) this.#references.edit("column", column, constant);
    else this.#references.edit("targets", column, `${constant} AS ${quoteIdentifier(name)}`);
    return true;
  }

  /** By what the columns of the target, or of its old or new row, are qualified; null: another source is meant. */
  #qualifier(names: readonly string[]): string | null {
    const name = names.at(-1);
    const schema = names.at(-2);
    if (name === undefined || this.#others.some((other) => other.name === name)) return null;
    if (name === this.#source.name) return schema === undefined || schema === this.#source.schema ? name : null;
    return schema === undefined && this.#versions.includes(name) ? name : null;
  }

  /** `*` of the sources beside the target, in order; null when they cannot be listed so. */
  #allOfOthers(): string[] | null {
    const { fromClause, usingClause, sourceRelation } = this.#statement;
    // Joins may merge columns.
    const isJoined = sourceRelation !== undefined && unwrap(sourceRelation).kind === "JoinExpr";
    if (isJoined || hasJoin(fromClause) || hasJoin(usingClause)) return null;
    const names = this.#others.map((source) => source.name);
    if (new Set(names).size < names.length) return null;
    const listed: string[] = [];
    for (const name of names) {
      if (name === null) return null;
      listed.push(`${quoteIdentifier(name)}.*`);
    }
    return listed;
  }
}

function hasJoin(list: unknown): boolean {
  return nodesOf(list).some(({ kind }) => kind === "JoinExpr");
}
