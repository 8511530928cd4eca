/** docs/ssh.md: its files, its clients and its refusal, tried on a real server with a real gateway. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { missing } from "../e2e/ssh/programs.ts";
import { environment, startGateway, weirCommand, type Gateway } from "../gateway.ts";
import { startSshd, type SshServer } from "../servers/sshd.ts";
import { fences, readPage } from "./pages.ts";

setDefaultTimeout(240_000);

const PAGE = readPage("docs/ssh.md");
const blocks = (language: string): readonly string[] =>
  fences(PAGE)
    .filter((fence) => fence.language === language)
    .map(({ text }) => text);
/** Lines of the page whose programs not every machine has, each a test of its own. */
const OPTIONAL_LINES = {
  rsync: "rsync -a site/ web-1:site/\n",
  ansible: "ansible web-1 -i web-1, -m ping\n",
};
const FILES = Object.fromEntries(blocks("yaml").map((text) => [text.slice(2, text.search(/[ \n]*\n/u)), text]));

let server: SshServer;
let gateway: Gateway;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-docs-ssh-"));
  server = await startSshd();
  writeFileSync(join(folder, "ann.pub"), `${server.publicKey}\n`);
  writeFileSync(join(folder, "web-1.key"), server.privateKey, { mode: 0o600 });
  writeFileSync(join(folder, "web-1.pub"), `${server.hostKeys[0]}\n`);
  const config = parse(FILES["weir.yaml"] ?? "") as {
    listen: Record<string, unknown>;
    targets: Record<string, { ssh: Record<string, unknown> }>;
  };
  // Only the addresses and accounts are this test's own.
  config.listen = { postgres: { port: 0, tls: "off" }, ssh: { port: 0 } };
  Object.assign(config.targets["web-1"]?.ssh ?? {}, { host: server.host, port: server.port, user: server.user });
  const policies = Object.entries(FILES).filter(([path]) => path.startsWith("policies/"));
  gateway = await startGateway({
    folder,
    config,
    policyFiles: Object.fromEntries(policies.map(([path, text]) => [path.slice("policies/".length), text])),
  });
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a script where `ssh`, `scp` and `sftp` read the page's configuration. */
function runScript(script: string): { status: number; said: string } {
  const work = join(folder, "work");
  const port = / ssh=127\.0\.0\.1:(\d+)/u.exec(gateway.log())?.[1] ?? "";
  const [written = ""] = blocks("sshconfig");
  const config = `${written.replace("Port 6422", `Port ${port}`).replace("~/.ssh/weir_known_hosts", join(folder, "data/ssh_known_hosts"))}
  IdentityFile ${server.keyFile}
  IdentitiesOnly yes
  BatchMode yes
`;
  mkdirSync(join(work, "bin"), { recursive: true });
  mkdirSync(join(work, "site"), { recursive: true });
  writeFileSync(join(work, "config"), config);
  for (const name of ["ssh", "scp", "sftp"]) {
    const real = Bun.which(name) ?? name;
    writeFileSync(join(work, "bin", name), `#!/bin/sh\nexec ${real} -F ${join(work, "config")} "$@"\n`, {
      mode: 0o755,
    });
  }
  writeFileSync(join(work, "report.txt"), "all is well\n");
  writeFileSync(join(work, "site/index.html"), "<p>hello</p>\n");
  writeFileSync(join(work, "script"), `{\n${script}} > said 2>&1\n`);
  const ran = Bun.spawnSync(["sh", "-e", "script"], {
    cwd: work,
    env: { PATH: `${join(work, "bin")}:${process.env["PATH"] ?? ""}`, HOME: work, LC_ALL: "C.UTF-8" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  return { status: ran.exitCode, said: readFileSync(join(work, "said"), "utf8") };
}

test("the files are those that the page names, and all is well with them", async () => {
  expect(Object.keys(FILES)).toEqual([
    "weir.yaml",
    "policies/policy.yaml",
    "policies/vocabulary.yaml",
    "policies/permits/servers.yaml",
  ]);
  const asItStands = join(folder, "as-it-stands");
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(asItStands, path)), { recursive: true });
    writeFileSync(join(asItStands, path), text);
  }
  for (const name of ["ann.pub", "web-1.key", "web-1.pub"]) {
    writeFileSync(join(asItStands, name), readFileSync(join(folder, name)));
  }
  const checked = Bun.spawnSync([...weirCommand(), "check", "--offline"], {
    cwd: asItStands,
    env: environment(),
  });
  expect([checked.exitCode, checked.stdout.toString(), checked.stderr.toString()]).toEqual([0, "ok\n", ""]);
  const [presented = "", ...end] = (await gateway.weir("check")).stdout.split("\n");
  expect(presented).toStartWith(`web-1: it presents ${server.hostKeys[0]?.trim()} (`);
  expect(end).toEqual(["ok", ""]);
});

test("its clients do what they do", async () => {
  expect(runScript("ssh web-1 git init -q --bare shop.git\n")).toEqual({ status: 0, said: "" });
  const script = blocks("sh").find((text) => text.startsWith("ssh web-1 uptime")) ?? "";
  for (const client of ["scp", "scp -O", "sftp", "git clone", "-fNM", ...Object.values(OPTIONAL_LINES)]) {
    expect(script).toContain(client);
  }
  const everywhere = Object.values(OPTIONAL_LINES).reduce((text, line) => text.replace(line, ""), script);
  const { status, said } = runScript(everywhere);
  if (status !== 0) throw new Error(said);
  expect(said).toContain("Filesystem");
  const at = (path: string): string => readFileSync(join(server.home, path), "utf8");
  expect(at("incoming.txt")).toBe("all is well\n");
  expect(at("old-protocol.txt")).toBe("all is well\n");
  expect(readFileSync(join(folder, "work/copy.txt"), "utf8")).toBe("all is well\n");
  expect(readFileSync(join(folder, "work/shop/.git/HEAD"), "utf8")).toStartWith("ref: ");
});

// Not every machine has it, and an ordinary user cannot install it.
test.skipIf(missing("rsync") !== null)("rsync does what it does", () => {
  expect(runScript(OPTIONAL_LINES.rsync)).toEqual({ status: 0, said: "" });
  expect(readFileSync(join(server.home, "site/index.html"), "utf8")).toBe("<p>hello</p>\n");
});

// As for rsync.
test.skipIf(missing("ansible") !== null)("ansible reaches the server", () => {
  const { status, said } = runScript(OPTIONAL_LINES.ansible);
  expect({ status, said }).toEqual({ status: 0, said: expect.stringContaining('"ping": "pong"') });
});

test("says no as the page says", async () => {
  const token = await gateway.token("bot", "agent", ["bots"]);
  const run = (...words: readonly string[]): Bun.SyncSubprocess<"pipe", "pipe"> =>
    Bun.spawnSync([...weirCommand(), "ssh", "web-1", ...words], {
      cwd: folder,
      env: environment({ WEIR_TOKEN: token }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  expect(run("uptime").exitCode).toBe(0);
  const refused = run("tail -n 2 /var/log/sys*");
  const shown = fences(PAGE).find(({ text }) => text.startsWith("weir: "))?.text ?? "none";
  const withoutId = (text: string): string => text.replace(/\(id \S+\)/u, "(id)");
  expect([refused.exitCode, withoutId(refused.stderr.toString())]).toEqual([126, withoutId(shown)]);
});
