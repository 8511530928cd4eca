/** Where the rows of a target's catalog come from, how many of them there may be, and what goes wrong with them. */

/** One row of text values; null is SQL's NULL. */
export type TextRow = readonly (string | null)[];

/**
 * A connection of the gateway's own to the target's database, logged in and idle. Whoever opens it must pin, in the
 * startup packet, where no setting of the role or the database can undo it:
 *
 * - `search_path` to the empty string, so that nothing but pg_catalog is searched for an unqualified name or operator
 *   (the loader checks this and refuses to go on otherwise);
 * - `client_encoding` to UTF8.
 *
 * It serves the catalog alone: the loader opens transactions on it and sets session parameters.
 */
export interface CatalogSource {
  /** Runs SQL as one simple query and collects the rows of all its statements; rejects with the server's error, or when the connection is lost. */
  query(sql: string): Promise<readonly TextRow[]>;
}

/** The most a catalog may hold; what exceeds a number is refused with an error that names it. */
export type CatalogLimits = {
  readonly schemas: number;
  readonly relations: number;
  /** Of all relations together, dropped ones included. */
  readonly columns: number;
  readonly functions: number;
  readonly operators: number;
  /** Every relation with rows brings two: its row type and the array of it. */
  readonly types: number;
  /** Casts, ranges and checks of domains together. */
  readonly conversions: number;
  /** Rules, defaults, triggers, row policies, links of inheritance and labels of enums together. */
  readonly definitions: number;
};

export const CATALOG_LIMITS: CatalogLimits = {
  schemas: 20_000,
  relations: 200_000,
  columns: 2_000_000,
  functions: 200_000,
  operators: 50_000,
  types: 500_000,
  conversions: 50_000,
  definitions: 2_000_000,
};

/** How many objects one query may return. */
export const CATALOG_PAGE_ROWS = 2000;

/** The catalog is not what it should be, or more than it may be; the message is for people. */
export class CatalogError extends Error {
  readonly code = "CATALOG";
}
