/** Keeps the facts that masks of one database need; they are loaded when somebody asks and the catalog is another than before. */
import type { CatalogConnection } from "../catalog-keeper.ts";
import type { CatalogPicture } from "../catalog-picture.ts";
import { CatalogError } from "../catalog-source.ts";
import { readFactRows } from "./fact-rows.ts";
import type { MaskFacts } from "./facts.ts";
import { makeFacts } from "./make-facts.ts";

/** The part of a CatalogKeeper that tells which state of the database facts are of. */
export type KeptCatalog = {
  readonly current: CatalogPicture | null;
  refresh(): Promise<CatalogPicture>;
  /** The same after two refreshes: nothing was written in between. */
  readonly generation: number;
};

/** Facts are read again when the catalog was changed meanwhile. */
const ATTEMPTS_MAX = 10;

export type FactKeeperOptions = {
  /** Opens a connection as CatalogSource wants it, for one load; rejects when it cannot. */
  readonly open: () => Promise<CatalogConnection>;
  readonly keeper: KeptCatalog;
};

export class FactKeeper {
  readonly #open: () => Promise<CatalogConnection>;
  readonly #keeper: KeptCatalog;
  #facts: MaskFacts | null = null;
  #loading: Promise<unknown> | null = null;

  constructor({ open, keeper }: FactKeeperOptions) {
    this.#open = open;
    this.#keeper = keeper;
  }

  /**
   * The facts of the catalog that the keeper shows now, or of a later state. One load at a time; whoever asks meanwhile
   * waits for it. Rejects when the catalog or the facts cannot be loaded.
   */
  async get(): Promise<MaskFacts> {
    while (this.#known === null && this.#loading !== null) await this.#loading;
    const known = this.#known;
    if (known !== null) return known;
    const load = this.#load();
    this.#loading = load
      .catch(() => null)
      .finally(() => {
        this.#loading = null;
      });
    return load;
  }

  /** The last facts, if the catalog is as it was then: pictures with the same digest have the same facts. */
  get #known(): MaskFacts | null {
    const current = this.#keeper.current;
    return current !== null && current.digest === this.#facts?.catalogDigest ? this.#facts : null;
  }

  async #load(): Promise<MaskFacts> {
    let picture = await this.#keeper.refresh();
    if (this.#facts?.catalogDigest === picture.digest) return this.#facts;
    const connection = await this.#open();
    try {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const { generation } = this.#keeper;
        const rows = await readFactRows(connection);
        picture = await this.#keeper.refresh();
        if (this.#keeper.generation !== generation) continue;
        return (this.#facts = await makeFacts(rows, picture, connection));
      }
    } finally {
      connection.close();
    }
    throw new CatalogError("the target's catalog changes faster than it can be read");
  }
}
