/** docs/operations.md: every message it explains is one that weir says, and with that SQLSTATE; every file of the data folder is named. */
import { Glob } from "bun";
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refusal, REFUSAL_CODES } from "../../src/core/decision.ts";
import { sqlStateOf } from "../../adapters/postgres/refuse.ts";
import { startGateway } from "../gateway.ts";
import { fences, readPage, tableRows } from "./pages.ts";

const ROOT = join(import.meta.dir, "../..");
const PAGE = readPage("docs/operations.md");
const ROWS = tableRows(PAGE, "message");

/** All that the product says, with the parts of each sentence that are filled in as they are in its sources. */
const SOURCES = [...new Glob("{src,adapters}/**/*.ts").scanSync({ cwd: ROOT })]
  .filter((path) => !path.endsWith(".test.ts"))
  .map((path) => readFileSync(join(ROOT, path), "utf8"))
  // The formatter breaks long sentences into parts.
  .map((text) => text.replaceAll(/["`] \+\s+["`]/gu, ""))
  .join("\n");

test("the page has its tables", () => expect(ROWS.length).toBeGreaterThan(20));

for (const [message = "", state = ""] of ROWS) {
  test(message, () => {
    const parts = message.replaceAll("`", "").split("…");
    const missing = parts.filter((part) => !SOURCES.includes(part));
    expect(missing).toEqual([]);
    if (!/^[0-9A-Z]{5}$/u.test(state)) return;
    // Where PostgreSQL has a closer word: a wrong password, a limit that a statement passes, an error raised by a function.
    const known = new Set(["28P01", "54000", "P0001", ...REFUSAL_CODES.map((code) => sqlStateOf(refusal(code, "")))]);
    expect(known.has(state)).toBe(true);
  });
}

test("the files of the data folder are named", async () => {
  const gateway = await startGateway({
    tls: "auto",
    targets: { db: { postgres: { host: "127.0.0.1", port: 1, database: "db", user: "weir", tls: "disable" } } },
    config: {
      listen: { postgres: { host: "127.0.0.1", port: 0 }, ssh: { host: "127.0.0.1", port: 0 } },
    },
  });
  try {
    await gateway.token("ann");
    const found = readdirSync(join(gateway.folder, "data")).map((name) => name.replace(/-(?:wal|shm|journal)$/u, ""));
    const cells = tableRows(PAGE, "file in `data`").map(([names = ""]) => names.replaceAll("`", ""));
    const named = new Set(cells.flatMap((names) => names.split(", ")));
    expect(found).toContain("audit.db");
    expect(found.filter((name) => !named.has(name))).toEqual([]);
  } finally {
    await gateway.stop();
  }
}, 240_000);

// systemd's own reading of the unit; other systems have none.
test.skipIf(Bun.which("systemd-analyze") === null)("systemd takes the unit", () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-test-unit-"));
  try {
    const unit = fences(PAGE).find(({ language }) => language === "ini")?.text ?? "";
    // A program that is there stands for the binary.
    const [before = "", after = ""] = unit.split("/usr/local/bin/weir");
    writeFileSync(join(folder, "weir.service"), `${before}${process.execPath}${after}`);
    const verified = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", join(folder, "weir.service")]);
    expect(verified.stderr.toString()).not.toContain("weir.service");
    expect(unit).toContain("ExecStart=/usr/local/bin/weir up ");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
