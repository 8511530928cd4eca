/** What an adapter lends to the tools of policy: reading texts without a session, and the catalog of a target. */
import type { Refusal } from "./decision.ts";
import type { Access, Accesses } from "./operation.ts";
import type { Door } from "./ports.ts";
import type { Target } from "./target.ts";

/** What names a target knows, as `policies/catalog/TARGET.json` holds it: pulled from the target, or written by hand. */
export type CatalogTarget = {
  readonly name: string;
  readonly adapter: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Names by key of the adapter's vocabulary, sorted, each once. A key that is left out: nothing is known of its names. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  /** Globs by key: names like these exist too, and are not worth listing (`pg_catalog.**`). */
  readonly unlisted: Readonly<Record<string, readonly string[]>>;
  /** The adapter's own part: JSON, null when there is none. Enough to read texts without the target. */
  readonly detail: unknown;
  /** Lower-case hex SHA-256 of all of the above. */
  readonly digest: string;
};

/** What `pull` reads of a live target: the parts of a CatalogTarget that come from there. */
export type PulledCatalog = Pick<CatalogTarget, "names" | "unlisted" | "detail">;

/** One operation of a text, as the adapter understood it. */
export type DescribedText = {
  /** The part of the given text that it is: one statement list, one command. */
  readonly text: string;
  readonly accesses: Accesses;
  readonly understood: boolean;
  /** One sentence for people on what could not be read; null when all could. */
  readonly notUnderstood: string | null;
};

export type DescribeOptions = {
  /** The part of the target that the session is in (a database); null: what a client gets that names the target alone. */
  readonly place: string | null;
};

/** How the tools of policy get at an adapter's reading. */
export type PolicyTools = {
  /** The kinds of text that it reads, as keys of a test's case: `sql`. */
  readonly texts: readonly string[];
  /**
   * Reads texts as a session with this catalog would, one after the other: what one changes, the next sees. `value` is
   * a text or a list of them, checked by nobody yet. Refuses, with a sentence for people, what it cannot read as the
   * live adapter would. Never rejects.
   */
  describe(
    key: string,
    value: unknown,
    catalog: CatalogTarget | null,
    options: DescribeOptions,
  ): Promise<readonly DescribedText[] | Refusal>;
  /** The access of opening a session; its facts are those that are the same for all of a session. */
  connect(catalog: CatalogTarget | null, options: DescribeOptions): Access;
  /**
   * Every access that the catalog makes possible, for exhaustive comparison; lazily, for there may be many. Left out: no
   * catalog can list them (commands), and mixtures of what the rules tell apart stand for them.
   */
  enumerate?(catalog: CatalogTarget): Iterable<Access>;
  /** Reads a live target's catalog through the gateway's own session. Never rejects. */
  pull(door: Door, target: Target): Promise<PulledCatalog | Refusal>;
};
