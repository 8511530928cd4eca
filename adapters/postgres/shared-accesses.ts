/** Lists of accesses that say the same are one object, so that what others keep per list is kept once. */
import { UNKNOWN, type Access, type Accesses, type FactValue, type Unknown } from "../../src/core/operation.ts";

/** Lists that are remembered; beyond, all are forgotten at once, which only costs sharing. */
const LISTS_MAX = 4_096;

/**
 * Statements that differ in literals alone have equal accesses. A decision depends on nothing else of a text, and the
 * record keeps each text's own digest, so sharing the list shares the decision and the record's constant part.
 */
export class SharedAccesses {
  #lists = new Map<string, Accesses>();

  /** The first list that said the same. `understood` keeps apart what is decided differently. */
  share(accesses: Accesses, understood: boolean): Accesses {
    let key = understood ? "+" : "-";
    for (const access of accesses) key += keyOf(access);
    const known = this.#lists.get(key);
    if (known !== undefined) return known;
    if (this.#lists.size >= LISTS_MAX) this.#lists = new Map();
    this.#lists.set(key, accesses);
    return accesses;
  }
}

function keyOf(access: Access): string {
  let key = `${access.class}${access.opaque === true ? "!" : ""}${access.ambient === true ? "~" : ""}`;
  if (access.named !== undefined) key += `<${valueKey(access.named)}>`;
  key += "{";
  for (const name in access.facts) key += `${name}=${valueKey(access.facts[name])};`;
  return `${key}}`;
}

/** Names are written with their length, so that no name can look like two. */
function valueKey(value: FactValue | Unknown | undefined): string {
  if (value === UNKNOWN) return "?";
  if (value === undefined) return "";
  if (typeof value === "boolean") return value ? "t" : "f";
  let key = "";
  for (const name of value) key += `${name.length}:${name},`;
  return key;
}
