/** psql's own commands where columns are masked: what they list is what the bare server lists, but for the sources of functions. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { serverMajor } from "../servers/postgres.ts";
import type { Stage } from "./player.ts";
import { directRoad, gatewayRoad, type Mode, Pair, type Road } from "./roads.ts";

setDefaultTimeout(300_000);

/** Of these the answers are compared with the bare server's. */
const LISTS = [
  "\\d",
  "\\d customers",
  "\\d+ customers",
  "\\d+ events",
  "\\d+ customer_directory",
  "\\dt+ app.*",
  "\\di+ app.*",
  "\\dv+ app.*",
  "\\dm+ app.*",
  "\\ds+ app.*",
  "\\sv app.customer_public",
  "\\sv+ app.customer_directory",
  "\\du",
  "\\dx",
  "\\dT+ app.*",
  "\\dew+",
  "\\des+",
];
/** The gateway's own roles, schema and rights, which the guarded database has, are in these. */
const LISTS_OF_RIGHTS = ["\\dp app.*", "\\z app.*", "\\dn+", "\\du+", "\\l+", "\\df+ app.*"];
/** It shows the source of a function. */
const REFUSED = "\\sf app.add_tax";

/** It knows the catalogs of older servers and not those of newer ones; 0: it is not installed. */
function psqlMajor(): number {
  if (Bun.which("psql") === null) return 0;
  // "psql (PostgreSQL) 15.18 (Debian 15.18-1)"
  const [, , version = ""] = Bun.spawnSync(["psql", "--version"]).stdout.toString().split(" ");
  return Number.parseInt(version, 10);
}

const IS_TOO_OLD = psqlMajor() < serverMajor();

let direct: Road;

beforeAll(async () => {
  if (!IS_TOO_OLD) direct = await directRoad();
});

afterAll(async () => {
  await direct?.stop();
});

/** What psql says of these commands, one after the other. */
async function psql(stage: Stage, commands: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { address, login } = stage;
  const child = Bun.spawn(["psql", "-X", "-A"], {
    stdin: Buffer.from(commands.map((command) => `\\echo === ${command}\n${command}\n`).join("")),
    stdout: "pipe",
    stderr: "pipe",
    env: {
      PATH: process.env["PATH"] ?? "",
      LC_ALL: "C.UTF-8",
      PGHOST: address.host,
      PGPORT: `${address.port}`,
      PGDATABASE: login.database ?? "",
      PGUSER: login.user ?? "bot",
      PGPASSWORD: login.password ?? "",
      PGSSLMODE: "disable",
    },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout, stderr };
}

/** How large something is on disk depends on when it was vacuumed. */
function withoutSizes(text: string): string {
  return text.replaceAll(/\d+ (?:bytes|kB|MB)/gu, "(size)").replaceAll(/\b(?:orig|twin)_\d{5}\b/gu, "(database)");
}

const MODES: readonly Mode[] = ["guarded", "inline"];

// A psql that is missing, or older than the server, cannot list what that has.
test.skipIf(IS_TOO_OLD).each(MODES)("%s: psql lists what there is", async (mode) => {
  const road = await gatewayRoad(mode);
  try {
    const here = await Pair.both(road.server).fresh();
    const { original: bare } = await Pair.original(direct.server).fresh();
    const wanted = await psql(direct.stage(bare, "gw_agent"), LISTS);
    expect(wanted.stderr).toBe("");
    expect(wanted.stdout).toContain("customers_lower_email");
    const got = await psql(road.stage(here.original, "gw_agent"), LISTS);
    expect(got.stderr).toBe("");
    // In guarded mode there are two roles more.
    const withoutOwn = withoutSizes(got.stdout)
      .replaceAll(/^weir_.*\n/gmu, "")
      .replace(/^(=== \\du\n[^=]*)\(\d+ rows\)/mu, "$1");
    expect(withoutOwn).toBe(withoutSizes(wanted.stdout).replace(/^(=== \\du\n[^=]*)\(\d+ rows\)/mu, "$1"));
    const rights = await psql(road.stage(here.original, "gw_agent"), LISTS_OF_RIGHTS);
    expect(rights.stderr).toBe("");
    expect(rights.stdout).toContain("customers");
    expect(rights.stdout).toMatch(/^app\|add_tax\|numeric\|a numeric\|func\|/mu);
    // The sources of functions are hidden, and all that names what is masked stands in those.
    expect(rights.stdout).not.toContain("SELECT email FROM app.customers");
    const twin = await psql(road.stage(here.twin, "gw_agent"), [...LISTS, ...LISTS_OF_RIGHTS]);
    expect(twin.stderr).toBe("");
    expect(withoutSizes(twin.stdout)).toBe(withoutSizes(got.stdout + rights.stdout));
    const refused = await psql(road.stage(here.original, "gw_agent"), [REFUSED]);
    expect(refused.stderr).toContain("function pg_catalog.pg_get_functiondef is not known to be safe");
    expect(refused.stdout).not.toContain("round");
  } finally {
    await road.stop();
  }
});
