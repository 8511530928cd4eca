/** Tables of statements with the accesses they must be described by, over the corpus's catalog. */
import { expect, test } from "bun:test";
import { Analyser } from "../../adapters/postgres/analyser.ts";
import type { Reading } from "../../adapters/postgres/analysis.ts";
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
    const isOpaque = analysis.accesses.some((access) => access.opaque === true);
    expect(analysis.understood).toBe(!isOpaque);
    expect(analysis.notUnderstood === null).toBe(!isOpaque);
  });
}
