/** This program as ssh's askpass (SSH_ASKPASS): answers the question for a password with the token of `weir ssh`. */

/** The variable of the environment that holds the token. */
export const ASKPASS_TOKEN = "WEIR_ASKPASS_TOKEN";
/** As OpenSSH asks: `TARGET@HOST's password: `. No other question is for a token. */
const QUESTION = "'s password: ";

/** The answer when ssh asks, for whoever was called with these words; null: this is no question of ssh's. */
export function askpassAnswer(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  const token = env[ASKPASS_TOKEN];
  const [question = ""] = words;
  return token !== undefined && words.length === 1 && question.endsWith(QUESTION) ? token : null;
}
