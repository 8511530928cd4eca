/** The compiled binary does what the sources do, also in an empty folder on a machine that has nothing of ours. */
import { Glob } from "bun";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { builtBinary } from "./binary.ts";
import { runTests } from "./test-run.ts";

const ROOT = join(import.meta.dir, "..");
const BUILD_TIME_MS_MAX = 600_000;
const E2E_TIME_MS_MAX = 3_600_000;
/**
 * Where sources and binary go ways of their own, and why. Everything else is the same code: `./dev test` runs it as the
 * binary, and this as the sources too.
 */
const APART: Readonly<Record<string, string>> = {
  "test/gateway.test.ts": "the parser's modules, the child that parses long texts, the log's writer and its library",
  "test/streams.test.ts": "the worker that streams the log, and those that verify it",
  "test/ship/gateway.test.ts": "the worker that ships the log",
  "src/cli/ssh.test.ts": "weir starts itself to answer what ssh asks",
};
/** The same, where a few tests show it: their names by their files. */
const APART_IN: Readonly<Record<string, readonly string[]>> = {
  // The writer of recordings, and the child that makes keys.
  "src/cli/recordings.test.ts": [
    "prints a transcript",
    "opens it with the auditor's key",
    "through the running gateway, which records it",
  ],
  // The demo's texts, its server's programs, and the commands that it prints.
  "src/cli/demo.test.ts": ["shows what is permitted", "prints lines for SSH that work"],
};
/** What breaks a machine under the log for minutes does not depend on how weir is packed. */
const LONG_FAULTS = new Set([
  "test/fault/audit-disk.test.ts",
  "test/fault/gateway-kill.test.ts",
  "test/fault/login-flood.test.ts",
]);

describe("the binary", () => {
  let folder = "";
  let weir = "";

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "weir-test-release-"));
    weir = join(folder, "bin-weir");
    symlinkSync(await builtBinary(), weir);
  }, BUILD_TIME_MS_MAX);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (args: readonly string[], env: Record<string, string> = {}): Bun.SyncSubprocess<"pipe", "pipe"> =>
    Bun.spawnSync([weir, ...args], { cwd: folder, env, stdout: "pipe", stderr: "pipe" });

  test("says which version it is, without any environment", () => {
    const result = run(["version"]);
    expect(result.stderr.toString()).toBe("");
    expect(result.stdout.toString()).toStartWith(`weir ${manifest.version} (`);
    expect(result.exitCode).toBe(0);
    expect(readdirSync(folder)).toEqual(["bin-weir"]);
  });

  test("says in one sentence what to do where its library cannot be unpacked", () => {
    const nowhere = join(folder, "nowhere");
    const result = run(["up", "--help"], { TMPDIR: nowhere });
    expect(result.stderr.toString()).toContain(`it is unpacked into ${nowhere}, which must exist`);
    expect(result.stderr.toString().trim().split("\n")).toHaveLength(1);
    expect(result.exitCode).toBe(1);
  });

  test("reads no .env of the folder it runs in", async () => {
    await Bun.write(join(folder, ".env"), `TMPDIR=${join(folder, "nowhere")}\n`);
    expect(run(["up", "--help"]).exitCode).toBe(0);
  });
});

describe("sources and binary", () => {
  const isLong = process.env["WEIR_TEST_LONG"] !== undefined;
  const runsBinary = (process.env["WEIR_BINARY"] ?? "") !== "";

  test(
    `pass the same end-to-end tests: ${isLong ? "all" : "where they go ways of their own"}, with the ${runsBinary ? "sources" : "binary"}`,
    async () => {
      // The one that this run does not drive already.
      const env = { WEIR_BINARY: runsBinary ? undefined : await builtBinary() };
      const runs = isLong
        ? [{ files: endToEndTests(), only: [] }]
        : [
            { files: Object.keys(APART), only: [] },
            { files: Object.keys(APART_IN), only: Object.values(APART_IN).flat() },
          ];
      for (const { files, only } of runs) {
        const names = only.length === 0 ? [] : ["-t", only.join("|")];
        const { status, said } = await runTests(
          ["--timeout=240000", ...names, ...files.map((file) => `./${file}`)],
          env,
        );
        expect(status, said).toBe(0);
        expect(said).toContain(`across ${files.length} file`);
        if (only.length > 0) expect(said).toContain(`\n ${only.length} pass\n`);
      }
    },
    E2E_TIME_MS_MAX,
  );
});

/** Every test that drives whole commands or a whole gateway: those that use its fixture, but for a few. */
function endToEndTests(): readonly string[] {
  return [...new Glob("{src,adapters,test}/**/*.test.ts").scanSync({ cwd: ROOT })]
    .filter((path) => path !== "test/release.test.ts" && !LONG_FAULTS.has(path))
    .filter((path) => readFileSync(join(ROOT, path), "utf8").includes('/gateway.ts"'))
    .toSorted();
}
