/** The words an adapter lends to policy: matcher keys under `action.<name>`, so that the engine knows no protocol. */

export type VocabularyKey = {
  /**
   * enum: one of `values`. names: literals, globs (`*` stops at `.` and `/`, `**` crosses them) and `$set`.
   * flag: true or false. argv: lists of word patterns. path: normalised paths with globs.
   */
  readonly kind: "enum" | "names" | "argv" | "path" | "flag";
  readonly description: string;
  /** For `enum`: every value there is. */
  readonly values?: readonly string[];
  /**
   * For `names` whose facts have several segments with dots between them: what the segments are called, from the first
   * on, and what the first most often is when an author forgets it. A name of fewer segments in a rule can never match
   * and is an error; one of more can, because a segment may hold a dot.
   */
  readonly segments?: { readonly names: readonly [string, ...string[]]; readonly usualFirst: string };
  /**
   * An access that has this fact is matched only by a permit that names the key
   * (a permit for relations does not let an unsafe function pass along).
   */
  readonly permitsMustName?: true;
  /**
   * The fact is the same for all of a session (its database). What needs only some permit on the target (to open the
   * session, and its ambient accesses) then needs one some block of which covers this key too: who may work in one
   * database has no session in another.
   */
  readonly ofSession?: true;
};

export type Vocabulary = {
  readonly name: string;
  readonly keys: Readonly<Record<string, VocabularyKey>>;
  /** Built-in sets that authors may write as `$name`. */
  readonly sets: Readonly<Record<string, readonly string[]>>;
};
