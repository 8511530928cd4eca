/** The facts that masks need of a test database, loaded as the gateway loads them, and masks of columns by name. */
import { CatalogKeeper } from "../../adapters/postgres/catalog-keeper.ts";
import type { CatalogPicture } from "../../adapters/postgres/catalog-picture.ts";
import type { ColumnMask, PolicyMasks } from "../../adapters/postgres/mask/derive.ts";
import { FactKeeper } from "../../adapters/postgres/mask/fact-keeper.ts";
import type { MaskFacts } from "../../adapters/postgres/mask/facts.ts";
import { maskQuestions, policyMasks } from "../../adapters/postgres/mask/subject-masks.ts";
import { connectCatalog } from "./catalog-source.ts";
import type { PostgresServer } from "./postgres.ts";

export type LoadedFacts = { readonly facts: MaskFacts; readonly catalog: CatalogPicture };

/** Rejects when they cannot be loaded. */
export async function loadFacts(server: PostgresServer, database: string): Promise<LoadedFacts> {
  const open = () => connectCatalog(server, { database });
  const keeper = new CatalogKeeper({ open, clock: { now: () => Date.now() } });
  try {
    const facts = await new FactKeeper({ open, keeper }).get();
    return { facts, catalog: await keeper.refresh() };
  } finally {
    keeper.stop();
  }
}

/** As policy would answer: the columns named, as `schema.relation.column`, with their masks; a name that is none throws. */
export function masksOf(catalog: CatalogPicture, masks: Readonly<Record<string, ColumnMask>>): PolicyMasks {
  const questions = maskQuestions(catalog, "any");
  const left = new Set(Object.keys(masks));
  const answers = questions.accesses.map((access) => {
    const columns = access.facts["columns"];
    const name = Array.isArray(columns) ? String(columns[0]) : "";
    left.delete(name);
    return masks[name] ?? null;
  });
  if (left.size > 0) throw new Error(`no columns: ${[...left].join(", ")}`);
  return policyMasks(questions, answers);
}

/** Redacted, and conditions see the mask. */
export const REDACTED: ColumnMask = { transform: { with: "redact" }, predicates: "masked" };
