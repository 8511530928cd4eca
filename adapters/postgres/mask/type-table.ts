/** The types of a database's columns as masks need them: how SQL spells them, and what their values are made of. */
import type { TextRow } from "../catalog-source.ts";
import { CatalogError } from "../catalog-source.ts";
import { isSafeSupportFunction } from "../describe/safe-functions.ts";
import type { DomainFacts, TypeFacts, TypeShape } from "./facts.ts";

/** How the server answered the casts that masks of a domain need. */
export type DomainVerdict = Pick<DomainFacts, "acceptsConstant" | "acceptsNull">;

type TypeRow = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly category: string;
  /** Under a domain; 0 for other types. */
  readonly base: number;
  readonly isNotNull: boolean;
  readonly isArray: boolean;
  readonly firstLabel: string | null;
  /** It is read from text and written as text by what is known to compute. */
  readonly isPlainText: boolean;
};

/**
 * Types of pg_catalog by oid (src/include/catalog/pg_type.dat). Not regclass and its like: the server stores no constants
 * of some of them in views.
 */
const BUILT_IN_SHAPES: ReadonlyMap<number, Exclude<TypeShape["kind"], "enum">> = new Map([
  ...[18, 19, 25, 1042, 1043].map((oid) => [oid, "text"] as const),
  ...[20, 21, 23, 26, 700, 701, 790, 1700].map((oid) => [oid, "number"] as const),
  [16, "boolean"] as const,
  ...[1082, 1114, 1184].map((oid) => [oid, "date"] as const),
  ...[1083, 1266].map((oid) => [oid, "time"] as const),
  [1186, "interval"] as const,
  [2950, "uuid"] as const,
  ...[114, 3802].map((oid) => [oid, "json"] as const),
  [17, "bytes"] as const,
]);

/** Spelled by the grammar itself, which takes them for those of pg_catalog. */
const KEYWORD_TYPES: ReadonlySet<string> = new Set(
  "bigint bit boolean character double integer interval numeric real smallint time timestamp".split(" "),
);

const CHAIN_MAX = 100;

export class TypeTable {
  readonly #rows = new Map<number, TypeRow>();
  readonly #checked: ReadonlySet<number>;

  /** Rows of TYPES and DOMAIN_CHECKS. */
  constructor(types: readonly TextRow[], checks: readonly TextRow[]) {
    for (const row of types) {
      const [oid, schema, name, kind, category, base, isNotNull, isArray, firstLabel, input, output, hasCast] = row;
      this.#rows.set(Number(oid), {
        oid: Number(oid),
        schema: schema ?? "",
        name: name ?? "",
        kind: kind ?? "",
        category: category ?? "",
        base: Number(base),
        isNotNull: isNotNull === "t",
        isArray: isArray === "t",
        firstLabel: firstLabel ?? null,
        isPlainText:
          hasCast === "f" && [input, output].every((own) => typeof own === "string" && isSafeSupportFunction(own)),
      });
    }
    this.#checked = new Set(checks.map(([type]) => Number(type)));
  }

  /** `formatted` is what format_type() says with an empty search_path. */
  facts(oid: number, typmod: number, formatted: string, verdicts: ReadonlyMap<number, DomainVerdict>): TypeFacts {
    const row = this.#rows.get(oid);
    const isBuiltIn = row === undefined ? false : row.schema === "pg_catalog";
    const sql = isBuiltIn && !KEYWORD_TYPES.has(firstWord(formatted)) ? `pg_catalog.${formatted}` : formatted;
    // Types of rows are not among the rows.
    if (row === undefined) return { oid, typmod, sql, shape: { kind: "other" }, domain: null };
    const chain = this.chain(oid);
    const base = chain.at(-1) ?? row;
    let domain: DomainFacts | null = null;
    if (row.kind === "d") {
      const isConstrained = chain.some((link) => link.kind === "d" && (link.isNotNull || this.#checked.has(link.oid)));
      const verdict = verdicts.get(oid) ?? { acceptsConstant: !isConstrained, acceptsNull: !isConstrained };
      domain = { isConstrained, ...verdict };
    }
    return { oid, typmod, sql, shape: this.#shape(base), domain };
  }

  /** A domain, the domains under it, and what they are made of at last; or the type alone. */
  chain(oid: number): readonly TypeRow[] {
    const chain: TypeRow[] = [];
    for (let at = this.#rows.get(oid); at !== undefined; at = at.kind === "d" ? this.#rows.get(at.base) : undefined) {
      chain.push(at);
      if (chain.length > CHAIN_MAX) throw new CatalogError("a domain has too many domains under it");
    }
    return chain;
  }

  #shape(base: TypeRow): TypeShape {
    if (base.kind === "d") return { kind: "other" };
    if (base.kind === "e") return { kind: "enum", firstLabel: base.firstLabel };
    if (base.isArray) return { kind: "array" };
    if (base.schema === "pg_catalog") {
      return { kind: BUILT_IN_SHAPES.get(base.oid) ?? "other" };
    }
    // Such as citext.
    return { kind: base.category === "S" && base.isPlainText ? "text" : "other" };
  }
}

function firstWord(formatted: string): string {
  let end = 0;
  while (end < formatted.length && !" ([".includes(formatted[end] ?? "")) end++;
  return formatted.slice(0, end);
}
