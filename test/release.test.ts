/** The compiled binary does what the sources do, in an empty folder on a machine that has nothing of ours. */
import { Glob } from "bun";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { builtBinary } from "./binary.ts";

const ROOT = join(import.meta.dir, "..");
const BUILD_TIME_MS_MAX = 120_000;
const E2E_TIME_MS_MAX = 600_000;

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
    const result = run(["version"], { TMPDIR: nowhere });
    expect(result.stderr.toString()).toContain(`it is unpacked into ${nowhere}, which must exist`);
    expect(result.stderr.toString().trim().split("\n")).toHaveLength(1);
    expect(result.exitCode).toBe(1);
  });

  test("reads no .env of the folder it runs in", async () => {
    await Bun.write(join(folder, ".env"), `TMPDIR=${join(folder, "nowhere")}\n`);
    expect(run(["version"]).exitCode).toBe(0);
  });

  test(
    "passes the end-to-end tests",
    async () => {
      const files = endToEndTests();
      expect(files).toContain(join(ROOT, "test/gateway.test.ts"));
      const child = Bun.spawn([process.execPath, "test", "--timeout=60000", ...files], {
        env: { ...process.env, WEIR_BINARY: await builtBinary() },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [output, errors] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      expect(child.exitCode, `${output}${errors}`).toBe(0);
    },
    E2E_TIME_MS_MAX,
  );
});

/** Every test that drives whole commands or a whole gateway: those that use its fixture. */
function endToEndTests(): readonly string[] {
  return [...new Glob("{src,adapters,test}/**/*.test.ts").scanSync({ cwd: ROOT, absolute: true })]
    .filter((path) => path !== import.meta.path && readFileSync(path, "utf8").includes('/gateway.ts"'))
    .toSorted();
}
