/** A catalog that was kept in a file, in the form in which statements are read. */
import { createHash } from "node:crypto";
import type { Catalog, FunctionName, Relation } from "./catalog.ts";
import type { DatabaseDetail } from "./catalog-detail.ts";
import { byName, relationsIn } from "./known-names.ts";

type Operator = { readonly schema: string; readonly function: FunctionName };

const NONE: readonly never[] = Object.freeze([]);

export class KeptCatalog implements Catalog {
  readonly digest: string;
  readonly serverVersion: number;
  readonly encoding: string;
  readonly #detail: DatabaseDetail;
  readonly #relations = new Map<string, Relation>();
  readonly #functions: ReadonlyMap<string, readonly string[]>;
  readonly #types: ReadonlyMap<string, readonly string[]>;
  readonly #operators = new Map<string, Operator[]>();

  /** `digest` tells the file; `database` is one of those in it. */
  constructor(detail: DatabaseDetail, digest: string, database: string) {
    this.digest = createHash("sha256").update(`${digest}\n${database}`).digest("hex");
    this.serverVersion = detail.session.serverMajor * 10_000;
    this.encoding = detail.session.encoding;
    this.#detail = detail;
    this.#functions = byName(detail.names.functions);
    this.#types = byName(detail.names.types);
    for (const { symbol, ...operator } of detail.operators) {
      const known = this.#operators.get(symbol);
      if (known === undefined) this.#operators.set(symbol, [operator]);
      else known.push(operator);
    }
  }

  hasSchema(schema: string): boolean {
    return this.#detail.schemas.has(schema);
  }

  mayUseSchema(schema: string, role: string): boolean | undefined {
    return role === this.#detail.session.role ? (this.#detail.schemas.get(schema) ?? false) : undefined;
  }

  relation(schema: string, name: string): Relation | undefined {
    const key = JSON.stringify([schema, name]);
    let relation = this.#relations.get(key);
    if (relation !== undefined) return relation;
    const known = relationsIn(this.#detail.names, schema).get(name);
    if (known === undefined) return undefined;
    relation = { oid: 0, schema, name, kind: known.kind, columns: known.columns.map(([column]) => column) };
    this.#relations.set(key, relation);
    return relation;
  }

  functionSchemas(name: string): readonly string[] {
    return this.#functions.get(name) ?? NONE;
  }

  /** Numbers are the server's own, and in no file. */
  functionByOid(): undefined {
    return undefined;
  }

  userOperators(symbol: string): readonly Operator[] {
    return this.#operators.get(symbol) ?? NONE;
  }

  typeSchemas(name: string): readonly string[] {
    return this.#types.get(name) ?? NONE;
  }

  typeFunctionsByOid(): null {
    return null;
  }

  typeFunctions(schema: string, name: string): readonly FunctionName[] {
    return this.#detail.typeFunctions.get(schema)?.get(name) ?? NONE;
  }
}
