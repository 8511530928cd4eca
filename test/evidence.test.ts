/** A folder of evidence is checked by exactly the commands that it prints, and by none of them any more once something in it was changed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drawSample } from "../src/audit/evidence/sample.ts";
import { addSignatures, newSigner, signatureLine, unverifiedText } from "../src/audit/note.ts";
import { PERMIT_ALL, weirCommand } from "./gateway.ts";
import { independentBinary, missingGo } from "./independent/verifier.ts";
import { checkpointsOf, ORIGIN, runOnce, tamper } from "./tampered-log.ts";

const FIRST_MS = 1_760_000_000_000;
const iso = (timeMs: number): string => new Date(timeMs).toISOString();
const witness = newSigner("w1.test.example", "cosignature").signer;

let folder: string;
let evidence: string;

type Ran = { readonly status: number; readonly output: string };

async function run(command: readonly string[], cwd: string, path = ""): Promise<Ran> {
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, PATH: `${path}:${process.env["PATH"] ?? ""}` },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { status: await child.exited, output: output + errors };
}

const weir = async (...args: readonly string[]): Promise<Ran> =>
  run([...weirCommand(), ...args, "--config", join(folder, "weir.yaml")], folder);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-evidence-"));
  evidence = join(folder, "evidence");
  const data = join(folder, "data");
  await runOnce(data, 500);
  await runOnce(data, 500, FIRST_MS + 900_000);
  tamper(data, (database) => {
    for (const { size, note } of checkpointsOf(data)) {
      const cosigned = addSignatures(note, [signatureLine(unverifiedText(note), witness, 1_760_001_000)]);
      database.prepare("INSERT INTO cosigned VALUES (?, ?, ?)").run([size, 1, Buffer.from(cosigned)]);
    }
  });
  for (const [path, text] of Object.entries(PERMIT_ALL)) {
    mkdirSync(join(folder, "policies", path, ".."), { recursive: true });
    writeFileSync(join(folder, "policies", path), text);
  }
  const config = {
    name: ORIGIN,
    data: "./data",
    policies: "./policies",
    listen: { postgres: { host: "127.0.0.1", port: 0, tls: "off" } },
    targets: {},
    audit: { witnesses: [{ url: "https://w1.test.example", key: witness.verifier.vkey }] },
  };
  writeFileSync(join(folder, "weir.yaml"), JSON.stringify(config), { mode: 0o600 });
  // The commands of the page, by the names that it uses.
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const quoted = weirCommand().map((word) => `'${word}'`);
  writeFileSync(join(bin, "weir"), `#!/bin/sh\nexec ${quoted.join(" ")} "$@"\n`);
  writeFileSync(
    join(bin, "independent"),
    `#!/bin/sh\nexec '${missingGo === null ? independentBinary() : "true"}' "$@"\n`,
  );
  for (const name of ["weir", "independent"]) chmodSync(join(bin, name), 0o755);
  const period = ["--from", iso(FIRST_MS + 300), "--to", iso(FIRST_MS + 900_700)];
  const made = await weir(
    "audit",
    "evidence",
    "--framework",
    "soc2",
    ...period,
    "--samples",
    "3",
    "--out",
    evidence,
    "--json",
  );
  expect(made.output).toStartWith('{"ok":true');
  expect(made.status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The commands that the page prints; those of the independent verifier only where Go is. */
function commands(): string[] {
  const blocks = readFileSync(join(evidence, "README.md"), "utf8").split("```sh\n").slice(1);
  const lines = blocks.flatMap((block) => (block.split("```")[0] ?? "").split("\n").filter((line) => line !== ""));
  return lines.filter((line) => missingGo === null || !line.startsWith("independent"));
}

async function failing(path: string): Promise<string[]> {
  const failed: string[] = [];
  for (const command of commands()) {
    const { status } = await run(["sh", "-c", command], path, join(folder, "bin"));
    if (status !== 0) failed.push(command.split(" ").slice(0, 2).join(" "));
  }
  return failed;
}

test("every command of the page succeeds on the folder", async () => {
  expect(commands().length).toBe(missingGo === null ? 8 : 4);
  expect(await failing(evidence)).toEqual([]);
});

test("the folder has what its page names", () => {
  const page = readFileSync(join(evidence, "README.md"), "utf8");
  for (const name of [
    "checkpoint",
    "checkpoints",
    "log.vkey",
    "tile",
    "samples",
    "entries.csv",
    "coverage.json",
    "verification.json",
    "policies.jsonl",
    "tokens.jsonl",
    "logins.jsonl",
    "alerts.jsonl",
    "unsealing.jsonl",
    "recipients.txt",
  ]) {
    expect(existsSync(join(evidence, name)), name).toBe(true);
  }
  for (const id of ["CC6.1", "CC6.2", "CC6.3", "CC6.6", "CC6.7", "CC7.2", "CC7.3", "CC8.1"])
    expect(page).toContain(`| ${id} |`);
  expect(page).toContain(`Cosigned by ${witness.verifier.vkey}`);
  const coverage: unknown = JSON.parse(readFileSync(join(evidence, "coverage.json"), "utf8"));
  expect(coverage).toMatchObject({
    gaps: [],
    decisions: { deny: expect.any(Number), permit: expect.any(Number) },
    runs: [{ end: "closed" }, {}],
  });
});

describe("what was changed in a copy of the folder is found", () => {
  test.each([
    ["an entry", "tile/entries/002", ["weir audit", "independent tiles"]],
    ["a tile", "tile/0/002", ["weir audit", "independent tiles"]],
    ["the checkpoint", "checkpoint", ["weir audit", "independent tiles"]],
    ["a sampled entry", "samples/", ["independent proof", "(printf '\\000';"]],
  ])("%s", async (_, path, finders) => {
    const copy = mkdtempSync(join(folder, "copy-"));
    cpSync(evidence, copy, { recursive: true });
    const name = path.endsWith("/")
      ? path + (readdirSync(join(copy, path)).find((each) => each.endsWith(".json")) ?? "")
      : path;
    const bytes = readFileSync(join(copy, name));
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(join(copy, name), bytes);
    const wanted = finders.filter((finder) => missingGo === null || !finder.startsWith("independent"));
    expect([...new Set(await failing(copy))]).toEqual(wanted);
  });
});

test("the sample is the same for everybody who draws it, and lies in the period", () => {
  const drawn = drawSample("seed", 100, 1100, 50);
  expect(drawSample("seed", 100, 1100, 50)).toEqual(drawn);
  expect(new Set(drawn).size).toBe(50);
  for (const index of drawn) expect(index >= 100 && index < 1100).toBe(true);
  expect(drawSample("other", 100, 1100, 50)).not.toEqual(drawn);
  // Worked out by the words of docs/evidence.md.
  const first = Number(
    BigInt(`0x${new Bun.CryptoHasher("sha256").update("seed:0").digest("hex").slice(0, 12)}`) % 1000n,
  );
  expect(drawn).toContain(100 + first);
  expect(drawSample("seed", 5, 8, 50)).toEqual([5, 6, 7]);
});
