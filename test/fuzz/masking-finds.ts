/** What has told the twins apart once: each is played in every run. */

/** Simple queries of one session, in order; what they showed. */
export type FixedCase = { readonly shows: string; readonly statements: readonly string[] };

export const FIXED_CASES: readonly FixedCase[] = [];
