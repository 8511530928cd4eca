/** The objects a defining statement is about: what it creates and changes, and which names it gives another meaning. */
import { UNKNOWN } from "../../../src/core/operation.ts";
import type { StatementEffect } from "../analysis.ts";
import type { Fields } from "../parser.ts";
import { classOf } from "../vocabulary.ts";
import type { Verb } from "../vocabulary.ts";
import type { Collector } from "./collector.ts";
import { NO_EFFECT } from "./effect.ts";
import { joinIdentifier } from "./identifier.ts";
import type { Resolver } from "./resolver.ts";
import { derivedSource, relationSource } from "./scope.ts";
import type { Source } from "./scope.ts";
import { NotUnderstood, textOf } from "./tree.ts";

export class DefinedNames {
  readonly #collector: Collector;
  readonly #resolver: Resolver;
  #redefined: string[] | "all" = [];
  readonly #temporary: string[] = [];

  constructor(collector: Collector, resolver: Resolver) {
    this.#collector = collector;
    this.#resolver = resolver;
  }

  /** What the session has to follow after the statement. */
  effect(): StatementEffect {
    const isTemporary = this.#temporary.length > 0;
    return {
      ...NO_EFFECT,
      changesCatalog: true,
      redefines: this.#redefined === "all" || this.#redefined.length > 0 ? this.#redefined : null,
      createsTemporary: isTemporary ? this.#temporary : null,
    };
  }

  /** An object that is no relation: its verb is all there is to say. */
  object(verb: Verb): void {
    this.#collector.other(classOf(verb), verb);
  }

  /** An object in the session's own schema hides others of its name. */
  redefineTemporary(parts: readonly string[]): void {
    if (parts.at(-2) === "pg_temp") this.#temporary.push(parts.at(-1) ?? "");
  }

  /** Relations that the statement does not name, or not one by one. */
  unnamed(verb: Verb): void {
    this.#collector.other(classOf(verb), verb, { relations: UNKNOWN });
  }

  /** The last part of a name means something else from now on. */
  redefine(parts: readonly string[]): void {
    const name = parts.at(-1);
    if (name !== undefined && this.#redefined !== "all") this.#redefined.push(name);
  }

  redefineAll(): void {
    this.#redefined = "all";
  }

  isRedefined(name: string): boolean {
    return this.#redefined === "all" || this.#redefined.includes(name);
  }

  /** A relation that comes to be. */
  created(verb: Verb, range: Fields | null): void {
    const name = this.#createdName(range);
    this.#collector.other(classOf(verb), verb, { relations: name === null ? UNKNOWN : [name] });
  }

  /** A composite type, which takes the name of a relation. */
  createdType(range: Fields | null): void {
    this.#createdName(range);
    this.object("create type");
  }

  #createdName(range: Fields | null): string | null {
    if (!range) throw new NotUnderstood("something without a name is created");
    const own = textOf(range["relname"]);
    const isTemporary = textOf(range["relpersistence"]) === "t";
    const name = this.#resolver.creationName(textOf(range["schemaname"]), own, isTemporary);
    this.redefine([own]);
    if (name === null || name.startsWith("pg_temp.")) this.#temporary.push(own);
    return name;
  }

  /**
   * A relation that exists, under a defining verb. That the catalog does not know it hides nothing here: the verb is
   * known, and a name with its schema is certain.
   */
  existing(verb: Verb, range: Fields, refersToColumns = false): Source {
    const schema = textOf(range["schemaname"]);
    const own = textOf(range["relname"]);
    const relation = this.#resolver.relation(schema, own, textOf(range["catalogname"]));
    if (relation.columns === null) {
      const name = schema === "" ? relation.name : joinIdentifier(schema, own);
      const relations = name === null ? UNKNOWN : [name];
      this.#collector.other(classOf(verb), verb, refersToColumns ? { relations, columns: UNKNOWN } : { relations });
      return derivedSource(own, [], true);
    }
    const use = this.#collector.relation(verb, classOf(verb), relation);
    return relationSource(use, own, null, []);
  }

  /** A relation that the statement gives another shape or name. */
  changed(verb: Verb, range: Fields, refersToColumns = false): Source {
    this.redefine([textOf(range["relname"])]);
    return this.existing(verb, range, refersToColumns);
  }
}
