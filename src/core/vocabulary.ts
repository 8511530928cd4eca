/** The words an adapter lends to policy: matcher keys under `action.<name>`, so that the engine knows no protocol. */

import type { MaskTransform, ObligationKind, Predicates } from "./obligation.ts";
import type { AccessClass } from "./operation.ts";

export type VocabularyKey = {
  /**
   * enum: one of `values`. names: literals, globs (`*` stops at `.` and `/`, `**` crosses them) and `$set`.
   * flag: true or false. path: normalised paths; `*` stops at `/` only, and a permit covers a hidden file for anything
   * but reading only where its dot is written out; a fact that ends in `/**` stands for all below a folder: a guard on
   * anything there sees it, and only `**` covers it. argv: patterns of one command, whose facts are its words in order.
   * contains: literal parts and `$patterns` that are looked for in texts. fields: values by the name of a field, whose
   * facts are `name=value`.
   */
  readonly kind: "enum" | "names" | "argv" | "path" | "flag" | "contains" | "fields";
  readonly description: string;
  /** For `enum`: every value there is. */
  readonly values?: readonly string[];
  /** For `enum`, where the value alone decides it: the class of every access that has the value. */
  readonly classOf?: Readonly<Record<string, AccessClass>>;
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
  /** Guards compare without regard to case; permits, and the exceptions of guards, compare exactly. */
  readonly guardsIgnoreCase?: true;
  /**
   * For `names`: a guard's name without a slash stands for it in any folder too (`rm` also for `/bin/rm` and `./rm`).
   * Permits, and the exceptions of guards, do not.
   */
  readonly guardsSeeFolders?: true;
  /** A permit that names this key and not that one permits more than it seems to: a program, whatever its arguments. */
  readonly looseWithout?: string;
};

/** What masks may be for. */
export type MaskSelector = "columns" | "fields" | "classifiers" | "patterns";

/** What a mask, or how conditions see it, comes to where it cannot be kept as written: something stricter. */
export type MaskChange = { readonly from: string; readonly to: string; readonly because: string };

export type Vocabulary = {
  readonly name: string;
  readonly keys: Readonly<Record<string, VocabularyKey>>;
  /** Built-in sets that authors may write as `$name`. */
  readonly sets: Readonly<Record<string, readonly string[]>>;
  /** What rules may oblige to for this protocol at all; what an adapter keeps of it now is its own to say. */
  readonly keeps: readonly ObligationKind[];
  /** What masks may be for in this protocol; left out: anything. */
  readonly masks?: readonly MaskSelector[];
  /**
   * What has its input sealed where it is recorded: accesses with one of these values. `what` names them for people.
   * Where nobody could open it, it is refused.
   */
  readonly sealedInput?: { readonly key: string; readonly values: readonly string[]; readonly what: string };
  /**
   * What a mask comes to on a target with these settings, which are the adapter's own; left out: what is written.
   * `isOfContent`: it is for what texts hold, not for columns.
   */
  readonly maskChanges?: (
    transform: MaskTransform,
    predicates: Predicates | null,
    settings: unknown,
    isOfContent: boolean,
  ) => readonly MaskChange[];
};
