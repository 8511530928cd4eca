/** Asks the server whether a domain takes the constant that stands for its masked values, or NULL. */
import type { CatalogSource, TextRow } from "../catalog-source.ts";
import type { Catalog } from "../catalog.ts";
import { isSafeFunction, isSafeSupportFunction } from "../describe/safe-functions.ts";
import { parseSlow } from "../parser.ts";
import { quoteText } from "../quote.ts";
import { unsafeBuiltInCalls } from "./built-in-calls.ts";
import type { TypeFacts } from "./facts.ts";
import { redactLiteral } from "./transforms.ts";
import type { DomainVerdict, TypeTable } from "./type-table.ts";

/** More are not asked for; their columns then cannot be masked. */
const DOMAINS_MAX = 2000;
const PROBE_MS_MAX = 2000;
/** For all of them together; those that are not asked about by then count as refusing both. */
const ALL_PROBES_MS_MAX = 20_000;

/**
 * The verdicts for `domains`, by oid. A check is only run when it calls nothing but what is known to compute: it runs with
 * the gateway's own rights. The connection must serve nothing else afterwards. Rejects when the connection is lost.
 */
export async function probeDomains(
  source: CatalogSource,
  domains: readonly TypeFacts[],
  table: TypeTable,
  checks: readonly TextRow[],
  catalog: Catalog,
  serverMajor: number,
): Promise<ReadonlyMap<number, DomainVerdict>> {
  const checksOf = new Map<number, string[]>();
  for (const [type, check] of checks) {
    const known = checksOf.get(Number(type));
    if (known === undefined) checksOf.set(Number(type), [check ?? ""]);
    else known.push(check ?? "");
  }
  const verdicts = new Map<number, DomainVerdict>();
  const endMs = performance.now() + ALL_PROBES_MS_MAX;
  for (const domain of domains.slice(0, DOMAINS_MAX)) {
    const chain = table.chain(domain.oid);
    const [own] = chain;
    const texts = chain.flatMap(({ oid }) => checksOf.get(oid) ?? []);
    const calls = own === undefined ? [] : catalog.typeFunctions(own.schema, own.name);
    let isHarmless = performance.now() < endMs;
    isHarmless &&= calls.every(({ schema, name }) => isSafeFunction(schema, name) || isSafeSupportFunction(name));
    for (const text of texts) isHarmless &&= await computesOnly(text, serverMajor);
    if (!isHarmless) {
      verdicts.set(domain.oid, { acceptsConstant: false, acceptsNull: false });
      continue;
    }
    const literal = redactLiteral(domain.shape);
    verdicts.set(domain.oid, {
      acceptsConstant: literal !== null && (await accepts(source, quoteText(literal), domain)),
      acceptsNull: await accepts(source, "NULL", domain),
    });
  }
  return verdicts;
}

/** A check may change settings of the session, so that nothing of it may last. */
async function accepts(source: CatalogSource, value: string, domain: TypeFacts): Promise<boolean> {
  try {
    await source.query(`BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = ${PROBE_MS_MAX};
      SELECT CAST(${value} AS ${domain.sql}) IS NULL; ROLLBACK`);
    return true;
  } catch {
    // Rejects when it was the connection that failed.
    await source.query("ROLLBACK");
    return false;
  }
}

/** `CHECK (...)` as the server writes it with an empty search_path. */
async function computesOnly(check: string, serverMajor: number): Promise<boolean> {
  const parsed = await parseSlow(`ALTER DOMAIN d ADD ${check}`, serverMajor);
  return parsed.kind === "statements" && unsafeBuiltInCalls(parsed.statements).size === 0;
}
