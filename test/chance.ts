/** What is random in tests is the same in each ordinary run, so that none fails by chance; the long one draws anew. Loaded before every test file (bunfig.toml). */
import { configureGlobal } from "fast-check";

/** Any other would do. */
const ORDINARY_SEED = 20_260_101;

/** Of this run: WEIR_TEST_SEED repeats one, and WEIR_TEST_LONG (`./dev test --long`) has one of its own for each file. */
export const SEED = seedOf(process.env["WEIR_TEST_SEED"], process.env["WEIR_TEST_LONG"] !== undefined);

configureGlobal({ seed: SEED });

function seedOf(given: string | undefined, isLong: boolean): number {
  if (given !== undefined) return Number(given);
  return isLong ? Math.floor(Math.random() * 2 ** 31) : ORDINARY_SEED;
}
