/** What masks promise, held on every other major version of PostgreSQL that weir reads: 16, 17 and 18. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { runTests } from "./test-run.ts";

const ROOT = join(import.meta.dir, "..");
const IS_LONG = process.env["WEIR_TEST_LONG"] !== undefined;
const TIME_MS_MAX = 3_600_000;

const FILES = [
  "adapters/postgres/mask",
  "test/masking",
  "test/e2e/postgres/catalog-pull.test.ts",
  "test/e2e/postgres/copy.test.ts",
  "test/e2e/postgres/extended-query.test.ts",
  "test/e2e/postgres/limits.test.ts",
  "test/e2e/postgres/masking-names.test.ts",
  "test/e2e/postgres/masking-reload.test.ts",
  "test/e2e/postgres/masking.test.ts",
  "test/e2e/postgres/names-resolved.test.ts",
  "test/e2e/postgres/newer-servers.test.ts",
  "test/e2e/postgres/raw-rows.test.ts",
  "test/e2e/postgres/read-only.test.ts",
  "test/e2e/postgres/refused-pipelines.test.ts",
  "test/e2e/postgres/startup.test.ts",
] as const;

describe.each([16, 17, 18])("PostgreSQL %i", (major) => {
  const bin = join(ROOT, `.cache/postgres-${major}/bin`);
  // They take minutes, and `./dev test --long` is what fetches the servers.
  test.skipIf(!IS_LONG || !existsSync(join(bin, "postgres")))(
    "passes the tests of masks",
    async () => {
      const { status, said } = await runTests(["--timeout=300000", ...FILES], {
        WEIR_TEST_POSTGRES_BIN: bin,
        WEIR_TEST_LONG: undefined,
      });
      expect(status, said).toBe(0);
    },
    TIME_MS_MAX,
  );
});
