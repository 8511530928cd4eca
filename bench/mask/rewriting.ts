/** How long it takes to read a statement and to put substitutes in the place of masked relations, text by text. */
import { Analyser } from "../../adapters/postgres/analyser.ts";
import type { Reading } from "../../adapters/postgres/analysis.ts";
import { CatalogLoader } from "../../adapters/postgres/catalog-loader.ts";
import { corpusReading } from "../../test/corpus/catalog.ts";
import { benignEntries, corpusSchema } from "../../test/corpus/masking.ts";
import { corpusPlan } from "../../test/corpus/plan.ts";
import { connectCatalog } from "../../test/servers/catalog-source.ts";
import { startPostgres } from "../../test/servers/postgres.ts";

export type Timing = { readonly what: string; readonly texts: number; readonly p50Us: number; readonly p99Us: number };

/** Texts longer than this are parsed in another process. */
const TEXT_BYTES_MAX = 32 * 1024;

/** Every benign text of the corpus, `rounds` times: without masks, with them, and those alone that become another text. */
export async function timeRewriting(rounds: number): Promise<readonly Timing[]> {
  const server = await startPostgres();
  try {
    server.psql("CREATE DATABASE corpus");
    server.psql(corpusSchema(), "corpus");
    const source = await connectCatalog(server, { database: "corpus" });
    const catalog = await new CatalogLoader(source).load();
    source.close();
    const open = corpusReading(catalog);
    const timings = [await time("read only", open, rounds)];
    for (const mode of ["guarded", "inline"] as const) {
      const reading = corpusReading(catalog, { plan: corpusPlan(catalog, { mode }) });
      timings.push(
        await time(`${mode}: all texts`, reading, rounds),
        await time(`${mode}: rewritten ones`, reading, rounds, { onlyRewritten: true }),
        await time(`${mode}: seen before`, reading, rounds, { isCached: true }),
      );
    }
    return timings;
  } finally {
    await server.stop();
  }
}

async function time(
  what: string,
  reading: Reading,
  rounds: number,
  { onlyRewritten = false, isCached = false } = {},
): Promise<Timing> {
  // Without room for entries nothing is remembered.
  const analyser = new Analyser(isCached ? {} : { cacheEntriesMax: 0 });
  const all = benignEntries()
    .flatMap(({ texts }) => texts.map(({ sql }) => new TextEncoder().encode(sql)))
    .filter(({ length }) => length <= TEXT_BYTES_MAX);
  const texts: Uint8Array[] = [];
  for (const text of all) {
    const { masking } = await analyser.analyse(text, reading);
    if (!onlyRewritten || (masking !== null && masking.rewritten !== null)) texts.push(text);
  }
  const timesNs = new Float64Array(texts.length * rounds);
  let at = 0;
  for (let round = 0; round < rounds; round++) {
    for (const text of texts) {
      const start = Bun.nanoseconds();
      void analyser.analyse(text, reading);
      timesNs[at++] = Bun.nanoseconds() - start;
    }
  }
  timesNs.sort();
  const percentile = (share: number): number => (timesNs[Math.floor(timesNs.length * share)] ?? Number.NaN) / 1000;
  return { what, texts: texts.length, p50Us: percentile(0.5), p99Us: percentile(0.99) };
}
