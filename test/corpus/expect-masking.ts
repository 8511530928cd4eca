/** Tables of statements with what masks must make of them, over the corpus's catalog. */
import { expect, test } from "bun:test";
import { Analyser } from "../../adapters/postgres/analyser.ts";
import type { Analysis, Reading } from "../../adapters/postgres/analysis.ts";
import type { MaskedRelation } from "../../adapters/postgres/mask/plan.ts";
import { outputList } from "../../adapters/postgres/mask/output-list.ts";
import { corpusCatalog, corpusReading } from "./catalog.ts";
import { corpusPlan, type PlanOptions } from "./plan.ts";

const catalog = corpusCatalog();
const analyser = new Analyser();

/** Analyses a text as a governed session would. */
export async function analyseGoverned(
  sql: string,
  options: PlanOptions = {},
  changes: Partial<Reading> = {},
): Promise<Analysis> {
  const reading = corpusReading(catalog, { plan: corpusPlan(catalog, options), ...changes });
  return analyser.analyse(new TextEncoder().encode(sql), reading);
}

/**
 * What masks make of it: `as it is`, `refused: message`, or the text that is sent, where `[customers]` is the substitute
 * of app.customers, and `[only customers]` that without its children.
 */
export function maskingLine({ masking }: Analysis): string {
  if (masking === null) return "not governed";
  if (masking.refusal) return `refused: ${masking.refusal.message}`;
  if (!masking.rewritten) return "as it is";
  let text = new TextDecoder().decode(masking.rewritten.bytes);
  for (const mode of ["guarded", "inline"] as const) {
    const plan = corpusPlan(catalog, { mode });
    for (const name of ["customers", "customers_vip", "contacts", "events", "customer_directory", "customer_mv"]) {
      const relation = plan.relation("app", name);
      if (!relation) continue;
      text = text.replaceAll(`(${substitute(relation, relation.source)})`, `[${name}]`);
      text = text.replaceAll(`(${substitute(relation, relation.sourceOnly ?? "")})`, `[only ${name}]`);
    }
  }
  return text;
}

function substitute(relation: MaskedRelation, source: string): string {
  return `SELECT ${outputList(relation, null, "expression")} FROM ${source}`;
}

/** A statement and what masks make of it; of a refusal, a part of the message is enough. */
export type MaskingExpectation = readonly [sql: string, line: string];

/** One test per statement. */
export function expectMasking(
  group: string,
  table: readonly MaskingExpectation[],
  options: PlanOptions = {},
  changes: Partial<Reading> = {},
): void {
  test.each(table.map((entry) => [...entry] as const))(`${group}: %s`, async (sql, expected) => {
    const analysis = await analyseGoverned(sql, options, changes);
    const line = maskingLine(analysis);
    if (expected.startsWith("refused: ")) {
      expect(line).toStartWith("refused: ");
      expect(line).toContain(expected.slice("refused: ".length));
      expect(analysis.masking?.refusal?.hint).toEndWith(".");
      expect(analysis.masking?.hidesDetail).toBe(true);
    } else expect(line).toBe(expected);
  });
}
