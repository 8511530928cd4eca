/** What the tools of policy get from the Postgres adapter: SQL read without a server, its possible accesses, its catalog. */
import { refusal, type Refusal } from "../../src/core/decision.ts";
import type { Access } from "../../src/core/operation.ts";
import type { CatalogTarget, DescribedText, DescribeOptions, PolicyTools } from "../../src/core/policy-tools.ts";
import type { Clock } from "../../src/core/ports.ts";
import { messageOf } from "../../src/core/message-of.ts";
import { Analyser } from "./analyser.ts";
import { decodeDetail, DetailError, type TargetDetail } from "./catalog-detail.ts";
import { KeptCatalog } from "./kept-catalog.ts";
import { possibleAccesses } from "./possible-accesses.ts";
import { pull } from "./pull.ts";
import { SupposedSession } from "./supposed-session.ts";

const TEXTS_MAX = 100;
const TEXT_CHARS_MAX = 8_192;

const WITHOUT_CATALOG = "Run weir policy catalog pull, or give accesses instead of sql.";

/** What was read out of a target's detail, as long as the target is in use. */
type Kept = { readonly detail: TargetDetail; readonly catalogs: Map<string, KeptCatalog> };
const kept = new WeakMap<CatalogTarget, Kept>();
const analyser = new Analyser();

export function postgresPolicyTools(clock: Clock): PolicyTools {
  return {
    texts: ["sql"],
    describe,
    connect: (catalog, options) => connectAccess(databaseOf(catalog, options)),
    *enumerate(catalog) {
      const { detail } = keptOf(catalog);
      for (const [name, database] of detail.databases) yield* possibleAccesses(database, name, connectAccess(name));
    },
    pull: (door, target) => pull(door, target, clock),
  };
}

async function describe(
  _key: string,
  value: unknown,
  catalog: CatalogTarget | null,
  options: DescribeOptions,
): Promise<readonly DescribedText[] | Refusal> {
  try {
    const texts = textsOf(value);
    if (typeof texts === "string") return refusal("protocol", texts);
    if (catalog === null || catalog.detail === null) {
      return refusal("not_understood", "the catalog of the target is not there, so SQL cannot be read", {
        hint: WITHOUT_CATALOG,
      });
    }
    const { detail, catalogs } = keptOf(catalog);
    const database = options.place ?? detail.database;
    const known = detail.databases.get(database);
    if (known === undefined) {
      const message = `the catalog of ${catalog.name} has no database "${database}"`;
      return refusal("not_understood", message, { hint: WITHOUT_CATALOG });
    }
    let keptCatalog = catalogs.get(database);
    if (keptCatalog === undefined) {
      keptCatalog = new KeptCatalog(known, catalog.digest, database);
      catalogs.set(database, keptCatalog);
    }
    return await readAll(texts, new SupposedSession(analyser, keptCatalog, known.session, database));
  } catch (error) {
    return asRefusal(error);
  }
}

async function readAll(
  texts: readonly string[],
  session: SupposedSession,
): Promise<readonly DescribedText[] | Refusal> {
  const described: DescribedText[] = [];
  for (const [index, text] of texts.entries()) {
    const analysis = await session.read(text);
    if (typeof analysis === "string") {
      return refusal("not_understood", `text ${index + 1} cannot be read without the server: ${analysis}`);
    }
    const { accesses, understood, notUnderstood } = analysis;
    described.push({ text, accesses, understood, notUnderstood });
  }
  return described;
}

/** One text or several; a sentence when it is neither. */
function textsOf(value: unknown): readonly string[] | string {
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (texts.length === 0 || texts.length > TEXTS_MAX) return `sql is a text or a list of at most ${TEXTS_MAX}`;
  const found: string[] = [];
  for (const text of texts) {
    if (typeof text !== "string") return "sql is a text or a list of texts";
    if (text.length > TEXT_CHARS_MAX) return `a text of sql has at most ${TEXT_CHARS_MAX} characters`;
    found.push(text);
  }
  return found;
}

/** Throws DetailError. */
function keptOf(catalog: CatalogTarget): Kept {
  let known = kept.get(catalog);
  if (known === undefined) kept.set(catalog, (known = { detail: decodeDetail(catalog.detail), catalogs: new Map() }));
  return known;
}

/** Undefined: not known here. */
function databaseOf(catalog: CatalogTarget | null, { place }: DescribeOptions): string | undefined {
  if (place !== null) return place;
  if (catalog === null || catalog.detail === null) return undefined;
  try {
    return keptOf(catalog).detail.database;
  } catch {
    return undefined;
  }
}

function connectAccess(database: string | undefined): Access {
  const facts = { verbs: ["connect"] };
  return {
    class: "connect",
    facts: database === undefined ? facts : { databases: [database], ...facts },
    ambient: true,
  };
}

function asRefusal(error: unknown): Refusal {
  if (error instanceof DetailError) {
    return refusal("not_understood", `the catalog of the target cannot be read: ${error.message}`, {
      hint: WITHOUT_CATALOG,
    });
  }
  return refusal("internal", `the text could not be read: ${messageOf(error)}`);
}
