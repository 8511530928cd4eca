/** The command line from end to end: real processes, their output, their exit statuses. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWeir, startGateway, weirCommand } from "../../test/gateway.ts";
import type { CommandResult } from "../../test/gateway.ts";
import { Indexer } from "../audit/search/indexer.ts";
import { COMMANDS } from "./commands.ts";

setDefaultTimeout(240_000);

const POLICY = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: test\n";
const PERMIT =
  "apiVersion: weir.dev/v1\nkind: Permits\n" +
  "rules: [{ id: reads, subject: { kinds: [human] }, target: { any: true }, action: { classes: [read] } }]\n";
/** Nothing listens on port 1. */
const NOWHERE = { host: "127.0.0.1", port: 1, database: "d", user: "u", tls: "disable" };

const anyText: unknown = expect.any(String);
const anyNumber: unknown = expect.any(Number);
const containing = (text: string): unknown => expect.stringContaining(text);
const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const holding = (facts: object): unknown => expect.objectContaining(facts);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let places = 0;
/** A folder with a configuration and a policy of its own. */
function place(config: object = {}): { readonly path: string; weir(...args: string[]): Promise<CommandResult> } {
  const path = join(folder, `place-${places++}`);
  mkdirSync(join(path, "policies/permits"), { recursive: true });
  writeFileSync(join(path, "policies/policy.yaml"), POLICY);
  writeFileSync(join(path, "policies/permits/people.yaml"), PERMIT);
  const file = { name: "gw", listen: { postgres: { port: 0 } }, targets: { db: { postgres: NOWHERE } }, ...config };
  writeFileSync(join(path, "weir.yaml"), JSON.stringify(file, null, 2));
  return { path, weir: async (...args) => runWeir(args, { cwd: path }) };
}

function jsonLines(text: string): unknown[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line));
}

describe("every command", () => {
  test("has help", async () => {
    const results = await Promise.all(
      COMMANDS.map(async ({ words }) => runWeir([...words, "--help"], { cwd: folder })),
    );
    for (const [index, result] of results.entries()) {
      expect(result.status).toBe(0);
      expect(result.stderr).toBe("");
      expect(result.stdout).toStartWith(`Usage: weir ${COMMANDS[index]?.words.join(" ") ?? ""}`);
    }
  });

  const usage: readonly [args: string[], first: string][] = [
    [[], "Usage: weir COMMAND"],
    [["token"], "Usage: weir token COMMAND"],
    [["chek"], 'weir: there is no command weir chek; did you mean "check"?'],
    [["token", "crate"], 'weir: there is no command weir token crate; did you mean "create"?'],
    [["check", "--conifg", "x"], 'weir: there is no option --conifg; did you mean "--config"?'],
    [["token", "create", "--kind", "agent"], "weir: --subject is missing"],
    [["token", "create", "--subject", "a", "--kind", "robot"], "weir: --kind is agent, human or service, not robot"],
    [
      ["token", "create", "--subject", "a", "--kind", "human", "--expires", "8"],
      "weir: --expires is a time such as 8h or 30d, or never, not 8",
    ],
    [["token", "revoke"], "weir: ID is missing"],
    [["psql"], "weir: TARGET is missing"],
    [["audit", "tail", "--decision", "maybe"], "weir: --decision is one of permit, ask, deny, house, not maybe"],
  ];
  for (const [args, first] of usage) {
    test(`ends with 2 when it is called wrongly: weir ${args.join(" ")}`, async () => {
      const result = await place().weir(...args);
      expect([result.status, result.stdout]).toEqual([2, ""]);
      expect(result.stderr).toStartWith(first);
    });
  }

  test("says what failed as JSON when asked to", async () => {
    const result = await place().weir("status", "--json");
    expect([result.status, result.stdout]).toEqual([1, ""]);
    expect(JSON.parse(result.stderr)).toEqual({
      error: { message: containing("no gateway runs on"), next: "Start it: weir up" },
    });
  });
});

test("what is longer than a pipe takes at once arrives whole", async () => {
  const whole = (await runWeir(["schema", "policy"])).stdout;
  expect(whole.length).toBeGreaterThan(65_536);
  const [program = "", ...args] = weirCommand();
  const child = Bun.spawn(["sh", "-c", '"$@" schema policy | cat', "sh", program, ...args], { stdout: "pipe" });
  expect(await new Response(child.stdout).text()).toBe(whole);
});

describe("weir version", () => {
  test("prints the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dir, "../../package.json"), "utf8")) as {
      version: string;
    };
    expect((await runWeir(["version"])).stdout).toStartWith(`weir ${version} `);
    const json = JSON.parse((await runWeir(["--version", "--json"])).stdout) as Record<string, unknown>;
    expect(json).toEqual({
      version,
      commit: json["commit"],
      from: json["from"],
      bun: anyText,
      platform: anyText,
    });
  });
});

describe("weir schema", () => {
  for (const what of ["config", "policy"]) {
    test(`${what} prints a JSON Schema`, async () => {
      const [pretty, json] = await Promise.all([runWeir(["schema", what]), runWeir(["schema", what, "--json"])]);
      expect([pretty.status, json.status]).toEqual([0, 0]);
      expect(JSON.parse(pretty.stdout)).toEqual(JSON.parse(json.stdout));
      expect(json.stdout.trimEnd()).not.toContain("\n");
      expect(JSON.parse(json.stdout)).toHaveProperty("$schema");
    });
  }

  test("config lets a reference stand for any value, and knows the adapters' targets", async () => {
    const schema: unknown = JSON.parse((await runWeir(["schema", "config"])).stdout);
    expect(schema).toMatchObject({
      properties: {
        name: { anyOf: [{ type: "string" }, { $ref: "#/definitions/reference" }] },
        targets: {
          additionalProperties: { properties: { postgres: { properties: { password: {} } } } },
        },
      },
      required: ["name", "listen", "targets"],
      additionalProperties: false,
    });
  });
});

describe("weir check", () => {
  test("names every mistake of the files with its place, and ends with 1", async () => {
    const here = place({ lisen: {} });
    writeFileSync(join(here.path, "policies/policy.yaml"), `${POLICY}nme: x\n`);
    const wrong = await here.weir("check");
    expect([wrong.status, wrong.stdout]).toEqual([1, ""]);
    expect(wrong.stderr).toContain(
      'weir.yaml:19:3 error UNKNOWN_KEY there is no key "lisen" here; did you mean "listen"?',
    );

    writeFileSync(
      join(here.path, "weir.yaml"),
      readFileSync(join(here.path, "weir.yaml"), "utf8").replace(/,\s*"lisen": \{\}/u, ""),
    );
    const policy = await here.weir("check", "--offline", "--json");
    expect(policy.status).toBe(1);
    expect(JSON.parse(policy.stdout)).toMatchObject({
      ok: false,
      problems: [{ severity: "error", code: "UNKNOWN_KEY", file: "policies/policy.yaml", line: 4, column: 1 }],
    });
  });

  test("is content with good files, and tries nothing when told so", async () => {
    const good = await place().weir("check", "--offline");
    expect([good.status, good.stdout, good.stderr]).toEqual([0, "ok\n", ""]);
    const json = await place().weir("check", "--offline", "--json");
    expect(JSON.parse(json.stdout)).toEqual({ ok: true, problems: [], presented: [] });
  });

  test("names targets that cannot be reached and ports that are taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    try {
      const address = taken.address();
      if (address === null || typeof address === "string") throw new Error("no port");
      const result = await place({ listen: { postgres: { port: address.port } } }).weir("check", "--json");
      expect(result.status).toBe(1);
      expect(JSON.parse(result.stdout)).toMatchObject({
        ok: false,
        problems: [
          {
            code: "PORT_IN_USE",
            line: 4,
            message: containing(`127.0.0.1:${address.port}: the port is in use; stop what holds it`),
          },
          { code: "TARGET_UNREACHABLE", line: 9, message: containing("127.0.0.1:1") },
        ],
      });
    } finally {
      taken.close();
    }
  });

  test("leaves nothing behind", async () => {
    const here = place();
    await here.weir("check");
    expect(existsSync(join(here.path, "data"))).toBe(false);
  });

  test("says which file is missing", async () => {
    const result = await runWeir(["check", "--config", "none.yaml"], { cwd: folder });
    expect([result.status, result.stderr]).toEqual([
      1,
      "none.yaml error UNREADABLE there is no such file; name yours with --config FILE\n",
    ]);
  });
});

describe("weir policy check", () => {
  test("needs no configuration when it is told the folder", async () => {
    const here = place();
    rmSync(join(here.path, "weir.yaml"));
    const good = await here.weir("policy", "check", "--policies", "policies");
    expect([good.status, good.stdout]).toEqual([0, "ok\n"]);
    writeFileSync(join(here.path, "policies/policy.yaml"), "kind: PolicySet\n");
    const wrong = await here.weir("policy", "check", "--policies", "policies", "--json");
    expect(wrong.status).toBe(1);
    expect(JSON.parse(wrong.stdout)).toMatchObject({
      ok: false,
      problems: [{ file: "policies/policy.yaml", severity: "error" }, {}],
    });
  });
});

describe("weir token, without a gateway", () => {
  test("makes, lists and revokes, and the log knows", async () => {
    const here = place();
    const made = await here.weir(
      "token",
      "create",
      "--subject",
      "bot",
      "--kind",
      "agent",
      "--groups",
      "b,a",
      "--owner",
      "eva",
      "--expires",
      "8h",
      "--json",
    );
    expect([made.status, made.stderr]).toEqual([0, ""]);
    const token = JSON.parse(made.stdout) as Record<string, unknown>;
    expect(token).toEqual({
      token: matching(/^weir_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/u),
      id: anyText,
      subject: "bot",
      kind: "agent",
      groups: ["a", "b"],
      owner: "eva",
      created: anyText,
      expires: anyText,
      revoked: null,
    });
    const { token: _, ...record } = token;
    expect(jsonLines((await here.weir("token", "list", "--json")).stdout)).toEqual([record]);

    const revoked = await here.weir("token", "revoke", String(record["id"]), "--json");
    expect(JSON.parse(revoked.stdout)).toEqual({ ...record, revoked: anyText });
    expect((await here.weir("token", "revoke", String(record["id"]))).status).toBe(0);
    const unknown = await here.weir("token", "revoke", "000000000000");
    expect([unknown.status, unknown.stderr]).toEqual([
      1,
      "weir: there is no token 000000000000\n      weir token list shows those there are.\n",
    ]);

    const log = jsonLines((await here.weir("audit", "tail", "--json", "--lines", "100")).stdout) as {
      leaf: { event: string; facts: object };
    }[];
    const events: unknown = log
      .filter(({ leaf }) => leaf.event.startsWith("token."))
      .map(({ leaf }) => [leaf.event, leaf.facts]);
    expect(events).toEqual([
      ["token.created", holding({ token: record["id"], subject: "bot", owner: "eva", by: "command line" })],
      ["token.revoked", holding({ token: record["id"], subject: "bot", by: "command line" })],
    ]);
    expect(JSON.stringify(log)).not.toContain(String(token["token"]));
  });

  test("prints the token alone, for scripts", async () => {
    const made = await place().weir("token", "create", "--subject", "ann", "--kind", "human");
    expect([made.status, made.stderr]).toEqual([0, ""]);
    expect(made.stdout).toMatch(/^weir_\w+\n$/u);
  });

  test("makes none when it cannot be recorded", async () => {
    const here = place();
    mkdirSync(join(here.path, "data"));
    writeFileSync(join(here.path, "data/audit.db"), "this is no log".repeat(1000));
    const made = await here.weir("token", "create", "--subject", "bot", "--kind", "agent");
    expect([made.status, made.stdout]).toEqual([1, ""]);
    expect(made.stderr).toContain("the audit log");
    expect(jsonLines((await here.weir("token", "list", "--json")).stdout)).toEqual([]);
  });

  test("keeps the data folder to its owner", async () => {
    const here = place();
    mkdirSync(join(here.path, "data"), { mode: 0o755 });
    chmodSync(join(here.path, "data"), 0o755);
    await here.weir("token", "list");
    expect(statSync(join(here.path, "data")).mode & 0o777).toBe(0o700);
  });
});

describe("a running gateway", () => {
  test("answers for status and tokens, keeps others off its data, and ends cleanly", async () => {
    const gateway = await startGateway({ targets: { db: { postgres: NOWHERE } }, tls: "auto" });
    try {
      const status = await gateway.weir("status", "--json");
      expect(status.status).toBe(0);
      expect(JSON.parse(status.stdout)).toEqual({
        name: "test.example.com",
        version: anyText,
        pid: gateway.pid,
        started: anyText,
        draining: false,
        listeners: [{ adapter: "postgres", host: "127.0.0.1", port: gateway.port, tls: true }],
        sessions: 0,
        clockSteppedByMs: null,
        targets: [{ name: "db", adapter: "postgres", problem: containing("127.0.0.1:1") }],
        policy: { digest: matching(/^[0-9a-f]{64}$/u), commit: null, problems: [] },
        log: {
          durability: "strict",
          entries: anyNumber,
          failure: null,
          witnesses: [],
          cosigned: null,
          witnessLagMs: 0,
          held: null,
          cosigner: null,
          stamps: null,
        },
        copies: [],
        streams: [],
      });
      expect((await gateway.weir("status")).stdout).toContain("db (postgres) NOT REACHABLE");

      const second = await gateway.weir("up");
      expect([second.status, second.stdout]).toEqual([1, ""]);
      expect(second.stderr).toContain("another weir uses");

      await gateway.token("bot", "agent", ["g"]);
      const [listed] = jsonLines((await gateway.weir("token", "list", "--json")).stdout) as { id: string }[];
      expect(listed).toMatchObject({ subject: "bot", groups: ["g"], revoked: null });
      expect((await gateway.weir("token", "revoke", listed?.id ?? "")).stdout).toContain("revoked");

      const socket = statSync(join(gateway.folder, "data/weir.sock"));
      expect(socket.mode & 0o777).toBe(0o600);

      // Its own port is no conflict to a check beside it; the target is.
      const check = JSON.parse((await gateway.weir("check", "--json")).stdout) as {
        problems: { code: string; severity: string }[];
      };
      expect(check.problems.filter(({ severity }) => severity === "error").map(({ code }) => code)).toEqual([
        "TARGET_UNREACHABLE",
      ]);
    } finally {
      expect(await gateway.stop()).toBe(0);
    }
    expect(gateway.log()).toContain("the target db cannot be used yet");
    expect(gateway.log()).toEndWith("weir: ended\n");
  });

  test("takes the place of one that was killed", async () => {
    const here = place();
    const options = { targets: { db: { postgres: NOWHERE } }, folder: here.path };
    const killed = await startGateway(options);
    expect(await killed.stop("SIGKILL")).not.toBe(0);
    expect(existsSync(join(here.path, "data/weir.sock"))).toBe(true);
    expect((await killed.weir("status")).status).toBe(1);
    const next = await startGateway(options);
    expect((await next.weir("status")).status).toBe(0);
    expect(await next.stop("SIGINT")).toBe(0);
    expect(existsSync(join(here.path, "data/weir.sock"))).toBe(false);
  });

  test("refuses to start on a port that is taken, and leaves its data free", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    try {
      const address = taken.address();
      if (address === null || typeof address === "string") throw new Error("no port");
      const here = place({ listen: { postgres: { port: address.port } } });
      const up = await here.weir("up");
      expect([up.status, up.stdout]).toEqual([1, ""]);
      expect(up.stderr).toContain(
        `cannot listen on 127.0.0.1:${address.port} for postgres: the port is in use; stop what holds it`,
      );
      expect((await here.weir("token", "list")).status).toBe(0);
    } finally {
      taken.close();
    }
  });

  test("refuses to start on policies with errors, and says where they are", async () => {
    const here = place();
    writeFileSync(join(here.path, "policies/policy.yaml"), `${POLICY}nme: x\n`);
    const up = await here.weir("up");
    expect([up.status, up.stdout]).toEqual([1, ""]);
    expect(up.stderr).toContain("policies/policy.yaml:4:1 error UNKNOWN_KEY");
  });

  test("says so when changed policies are rejected, and goes on with the old ones", async () => {
    const gateway = await startGateway({ targets: { db: { postgres: NOWHERE } } });
    try {
      const before = JSON.parse((await gateway.weir("status", "--json")).stdout) as { policy: { digest: string } };
      gateway.writePolicy("policy.yaml", "nonsense: 1\n");
      await until(async () => {
        const now = JSON.parse((await gateway.weir("status", "--json")).stdout) as {
          policy: { digest: string; problems: string[] };
        };
        expect(now.policy.digest).toBe(before.policy.digest);
        return now.policy.problems.some((line) => line.startsWith("policy.yaml:1:1 error"));
      });
    } finally {
      await gateway.stop();
    }
  });
});

describe("weir psql", () => {
  /** Stands in for psql: says how it was called. */
  function fakePsql(here: { path: string }): Record<string, string> {
    mkdirSync(join(here.path, "bin"));
    writeFileSync(
      join(here.path, "bin/psql"),
      '#!/bin/sh\nenv | grep -E "^(PG|WEIR)" | sort\nfor word in "$@"; do echo "[$word]"; done\nexit 3\n',
      { mode: 0o755 },
    );
    return {
      PATH: `${join(here.path, "bin")}:${process.env["PATH"] ?? ""}`,
      PGSERVICE: "elsewhere",
      PGHOSTADDR: "192.0.2.1",
    };
  }

  test("fills in address, token and TLS, and keeps the token out of the arguments", async () => {
    const here = place({ listen: { postgres: { port: 7777 } } });
    const env = { ...fakePsql(here), WEIR_TOKEN: "weir_secret" };
    const result = await runWeir(["psql", "db", "-c", "select 1"], { cwd: here.path, env });
    expect(result.status).toBe(3);
    expect(result.stdout.split("\n")).toEqual([
      "PGDATABASE=db",
      "PGHOST=127.0.0.1",
      "PGPASSWORD=weir_secret",
      "PGPORT=7777",
      "PGSSLMODE=verify-ca",
      `PGSSLROOTCERT=${join(here.path, "data/gateway.crt")}`,
      "PGUSER=weir",
      "[-c]",
      "[select 1]",
      "",
    ]);
  });

  test("takes the token from a file, and no TLS where there is none", async () => {
    const here = place({ listen: { postgres: { port: 7777, tls: "off", host: "0.0.0.0" } } });
    writeFileSync(join(here.path, "token"), "weir_from_file\n");
    const result = await runWeir(["psql", "--token-file", "token", "db"], {
      cwd: here.path,
      env: { ...fakePsql(here), WEIR_TOKEN: "" },
    });
    expect(result.stdout).toContain("PGPASSWORD=weir_from_file\n");
    expect(result.stdout).toContain("PGSSLMODE=disable\n");
    expect(result.stdout).toContain("PGHOST=127.0.0.1\n");
  });

  test("says what is missing", async () => {
    const here = place();
    const { PATH = "" } = fakePsql(here);
    const noToken = await runWeir(["psql", "db"], { cwd: here.path, env: { WEIR_TOKEN: "", PATH } });
    expect([noToken.status, noToken.stderr]).toEqual([
      1,
      "weir: there is no token\n      Set WEIR_TOKEN or name a file with --token-file; weir token create makes one.\n",
    ]);
    const noGateway = await runWeir(["psql", "db"], { cwd: here.path, env: { WEIR_TOKEN: "x", PATH } });
    expect(noGateway.stderr).toContain("the gateway does not run, and its port is chosen at start");
  });
});

describe("weir audit show", () => {
  test("prints an entry by its number, and says when there is none", async () => {
    const here = place();
    const none = await here.weir("audit", "tail");
    expect(none.status).toBe(1);
    expect(none.stderr).toContain("there is no audit log at");
    await here.weir("token", "create", "--subject", "bot", "--kind", "agent");
    const first = await here.weir("audit", "show", "#0", "--json");
    expect(JSON.parse(first.stdout)).toMatchObject({
      hash: matching(/^[0-9a-f]{64}$/u),
      leaf: { index: 0, event: "audit.opened" },
    });
    const missing = await here.weir("audit", "show", "ABCDEF-1");
    expect([missing.status, missing.stderr]).toEqual([
      1,
      "weir: the log has no entry of ABCDEF-1\n      weir audit tail shows the last ones with their ids.\n",
    ]);
  });
});

describe("what the search index has not come to yet", () => {
  test("is told by those who read nothing else", async () => {
    const here = place();
    await here.weir("token", "create", "--subject", "bot", "--kind", "agent");
    await here.weir("audit", "search", "bot");
    // Somebody else writes the index, and does not get on.
    const indexer = Indexer.open(join(here.path, "data"), { isThorough: false });
    try {
      await here.weir("token", "create", "--subject", "eve", "--kind", "agent");
      for (const words of [
        ["sessions", "list"],
        ["sessions", "show", "ABCDEF-1"],
        ["audit", "search", "eve"],
      ]) {
        const { stderr } = await here.weir(...words);
        expect(stderr).toMatch(/^weir: the newest \d+ entries are not in the search index yet\n/u);
      }
    } finally {
      indexer?.close();
    }
    for (const words of [
      ["sessions", "list"],
      ["audit", "search", "eve"],
    ]) {
      const { stderr } = await here.weir(...words);
      expect(stderr).not.toContain("not in the search index yet");
    }
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("this did not come true within two minutes");
    await Bun.sleep(50);
  }
}
