/** Loads the picture of a target's catalog over one connection, all of it at first and afterwards what has changed. */
import { CatalogPicture, type Changed, type Contents, type ServerFacts } from "./catalog-picture.ts";
import {
  COMMIT,
  conversionsQuery,
  decodeState,
  DEFINITIONS_DIGEST,
  type Group,
  GROUPS,
  type KeyedGroup,
  OIDS_PAGE_ROWS,
  oidsQuery,
  pageQuery,
  SCHEMAS,
  SETTINGS,
  type State,
  stateQuery,
} from "./catalog-queries.ts";
import { decodeConversion, DECODERS, decodeSchema, Interning, type Records, sha256 } from "./catalog-records.ts";
import {
  CATALOG_LIMITS,
  CATALOG_PAGE_ROWS,
  CatalogError,
  type CatalogLimits,
  type CatalogSource,
} from "./catalog-source.ts";

/** A base that no row is older than: only for the first comparison, whose answer is not used. */
const FIRST_BASE = "3";

/** Groups whose fingerprints change with what a picture holds, and with nothing else. */
const EXACT_GROUPS: readonly Group[] = ["schemas", "conversions", "definitions"];

/** What is remembered from the last load to compare with. */
type Known = {
  readonly base: string;
  readonly snapshot: string;
  readonly fingerprints: ReadonlyMap<Group, string>;
  readonly picture: CatalogPicture;
};

/**
 * Serves one connection: after any rejection throw both away, since a transaction may be open. A new connection needs
 * a new loader, because another server (after a failover, or a restored backup) may know other rows under the same transaction ids.
 */
export class CatalogLoader {
  readonly #source: CatalogSource;
  readonly #limits: CatalogLimits;
  #contents: Contents | null = null;
  #known: Known | null = null;
  #foundChanges = false;

  constructor(source: CatalogSource, limits: CatalogLimits = CATALOG_LIMITS) {
    this.#source = source;
    this.#limits = limits;
  }

  /**
   * False when nothing was written between the last load and the one before: then whatever was read in between is of
   * the same state. True after a change that was undone, too, though the picture is the same.
   */
  get foundChanges(): boolean {
    return this.#foundChanges;
  }

  /**
   * The picture of what was committed when this was called, or later; the same object as last time when nothing has
   * changed. Rejects with CatalogError (limits, a strange answer) or with what the source rejects with. Not to be called while it runs.
   */
  async load(): Promise<CatalogPicture> {
    const known = this.#known;
    const contents = (this.#contents ??= emptyContents(await this.#settings()));
    const state = await this.#state(known?.base ?? FIRST_BASE, known?.snapshot ?? "");
    this.#foundChanges = known === null;
    if (known !== null && state.fingerprints === null) {
      await this.#source.query(COMMIT);
      return known.picture;
    }
    const groups = known === null ? new Set(GROUPS) : changedGroups(state, known);
    await this.#read(contents, state, groups, known?.base ?? null);
    await this.#source.query(COMMIT);

    const isSame = known !== null && groups.size === 0 && state.defaultSearchPath === known.picture.defaultSearchPath;
    contents.defaultSearchPath = state.defaultSearchPath;
    this.#known = {
      base: state.nextBase,
      snapshot: state.snapshot,
      fingerprints: new Map([...(state.fingerprints ?? [])].map(([group, { next }]) => [group, next])),
      picture: isSame ? known.picture : pictureOf(contents, known?.picture ?? null, groups),
    };
    return this.#known.picture;
  }

  async #settings(): Promise<ServerFacts> {
    const [row] = await this.#source.query(SETTINGS);
    const [version, encoding, role, searchPath] = row ?? [];
    const serverVersion = Number(version);
    if (
      !Number.isInteger(serverVersion) ||
      serverVersion <= 0 ||
      typeof encoding !== "string" ||
      typeof role !== "string"
    ) {
      throw new CatalogError("the target does not tell its version, encoding and role");
    }
    if (searchPath !== "" && searchPath !== '""') {
      throw new CatalogError("the connection for the catalog has a search_path, though it must be pinned to none");
    }
    return { serverVersion, encoding, role };
  }

  async #state(base: string, snapshot: string): Promise<State> {
    const state = decodeState((await this.#source.query(stateQuery(base, snapshot)))[0]);
    if (state === null) throw new CatalogError("the target's catalog answered with rows of another shape");
    return state;
  }

  /** `base` null: everything; else what was written since. */
  async #read(contents: Contents, state: State, groups: ReadonlySet<Group>, base: string | null): Promise<void> {
    for (const group of groups) {
      const count = state.fingerprints?.get(group)?.count ?? 0;
      if (count > this.#limits[group]) {
        throw new CatalogError(`the target has ${count} ${group} (at most ${this.#limits[group]} can be read)`);
      }
    }
    const interning = new Interning();
    const keyed = async <G extends KeyedGroup>(group: G, records: Map<number, Records[G]>): Promise<void> => {
      const count = state.fingerprints?.get(group)?.count ?? 0;
      const decode = DECODERS[group];
      await this.#pages(
        CATALOG_PAGE_ROWS,
        (after) => pageQuery(group, base, after),
        (row) => {
          const record = decode(row, interning);
          this.#foundChanges = true;
          records.set(record.oid, record);
          return record.oid;
        },
      );
      if (records.size !== count) await this.#prune(group, records);
      if (records.size !== count) {
        throw new CatalogError(`the target counts ${count} ${group} but shows ${records.size}`);
      }
    };
    // The others are counted with rows of temporary relations, too, and looked at more closely below.
    if (EXACT_GROUPS.some((group) => groups.has(group))) this.#foundChanges = true;
    if (groups.has("schemas")) {
      const schemas = (await this.#source.query(SCHEMAS)).map(decodeSchema);
      contents.schemas = new Map(schemas.map((schema) => [schema.oid, schema]));
    }
    if (groups.has("relations") || groups.has("columns")) await keyed("relations", contents.relations);
    if (groups.has("functions")) await keyed("functions", contents.functions);
    if (groups.has("operators")) await keyed("operators", contents.operators);
    if (groups.has("types")) await keyed("types", contents.types);
    if (groups.has("conversions")) {
      const rows = await this.#source.query(conversionsQuery(this.#limits.conversions + 1));
      if (rows.length > this.#limits.conversions) {
        throw new CatalogError(`the target has more than ${this.#limits.conversions} conversions of types`);
      }
      contents.conversions = rows.map(decodeConversion);
    }
    // Domains' constraints are among both.
    if (groups.has("definitions") || groups.has("conversions")) {
      const [row = []] = await this.#source.query(DEFINITIONS_DIGEST);
      contents.definitions = sha256(row);
    }
  }

  /** Removes what is gone. */
  async #prune(group: KeyedGroup, records: Map<number, unknown>): Promise<void> {
    const present = new Set<number>();
    await this.#pages(
      OIDS_PAGE_ROWS,
      (after) => oidsQuery(group, after),
      ([oid]) => {
        present.add(Number(oid));
        return Number(oid);
      },
    );
    for (const oid of records.keys()) {
      if (present.has(oid)) continue;
      records.delete(oid);
      this.#foundChanges = true;
    }
  }

  /** Asks page after page; `take` returns the oid of the row it was given. */
  async #pages(
    size: number,
    query: (after: number) => string,
    take: (row: readonly (string | null)[]) => number,
  ): Promise<void> {
    let after = 0;
    for (;;) {
      const rows = await this.#source.query(query(after));
      const from = after;
      for (const row of rows) after = take(row);
      if (rows.length < size) return;
      if (!(after > from)) {
        throw new CatalogError("the target's catalog does not answer in the order that it was asked for");
      }
    }
  }
}

function emptyContents(server: ServerFacts): Contents {
  return {
    server,
    defaultSearchPath: null,
    schemas: new Map(),
    relations: new Map(),
    functions: new Map(),
    operators: new Map(),
    types: new Map(),
    conversions: [],
    definitions: "",
  };
}

function changedGroups(state: State, known: Known): Set<Group> {
  return new Set(GROUPS.filter((group) => state.fingerprints?.get(group)?.old !== known.fingerprints.get(group)));
}

/** A picture that turns out to hold the same is the same object. */
function pictureOf(contents: Contents, previous: CatalogPicture | null, groups: ReadonlySet<Group>): CatalogPicture {
  const changed: Changed = new Set([...groups].map((group) => (group === "columns" ? "relations" : group)));
  const picture = CatalogPicture.of(contents, previous, changed);
  return previous !== null && previous.digest === picture.digest ? previous : picture;
}
