/** Tables of statements with the accesses they must be described by, over the corpus's catalog. */
import { expect, test } from "bun:test";
import { Analyser } from "../../adapters/postgres/analyser.ts";
import type { Reading } from "../../adapters/postgres/analysis.ts";
import { VERB_CLASSES } from "../../adapters/postgres/vocabulary.ts";
import { accessLine } from "./accesses.ts";
import { corpusCatalog, corpusReading } from "./catalog.ts";

/** A statement, then its accesses as `accessLine` writes them. */
export type Expectation = readonly [sql: string, ...accesses: string[]];

/** One test per statement. `changes` are those of the session's reading. */
export function expectAccesses(group: string, table: readonly Expectation[], changes: Partial<Reading> = {}): void {
  const reading = corpusReading(corpusCatalog(), changes);
  const analyser = new Analyser();
  test.each(table.map(([sql, ...accesses]) => [sql, accesses] as const))(`${group}: %s`, async (sql, accesses) => {
    const analysis = await analyser.analyse(new TextEncoder().encode(sql), reading);
    expect(analysis.accesses.map(accessLine)).toEqual([...accesses]);
    // Checks of policies rely on a verb telling the class.
    for (const access of analysis.accesses) {
      const verbs = access.facts["verbs"];
      for (const verb of typeof verbs === "object" ? verbs : []) expect(VERB_CLASSES.get(verb)).toBe(access.class);
    }
    const isOpaque = analysis.accesses.some((access) => access.opaque === true);
    expect(analysis.understood).toBe(!isOpaque);
    expect(analysis.notUnderstood === null).toBe(!isOpaque);
  });
}
