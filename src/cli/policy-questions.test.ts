/** `weir policy explain` and `weir policy who-can` on a whole company's set: what somebody asks at three in the morning. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { runWeir } from "../../test/gateway.ts";
import type { CommandResult } from "../../test/gateway.ts";

setDefaultTimeout(240_000);

const SAAS = join(import.meta.dir, "../../policies/examples/saas");
const BANK = join(import.meta.dir, "../../policies/examples/bank");
const explain = async (...args: string[]): Promise<CommandResult> =>
  runWeir(["policy", "explain", "--policies", SAAS, ...args]);
const whoCan = async (...args: string[]): Promise<CommandResult> =>
  runWeir(["policy", "who-can", "--policies", SAAS, ...args]);

test("why somebody of the tests may not", async () => {
  const result = await explain(
    "--as",
    "bot",
    "--on",
    "app-prod",
    "--sql",
    "update tickets set subject = 'x' where id = 7",
  );
  expect([result.status, result.stderr]).toEqual([0, ""]);
  expect(result.stdout).toStartWith(
    "deny  update tickets set subject = 'x' where id = 7\n  no rule permits update on public.tickets\n  agents-write-tickets would, but for columns public.tickets.subject.\n  bot (agent of support-agents, owned by eva) on app-prod at ",
  );
  expect(result.stdout).toMatch(/permit agents-write-tickets {2}permits\/agents.yaml:\d+ {2}no, but nearest\n/u);
  expect(result.stdout).toMatch(/action\[1\]\.postgres\.columns +no +public\.tickets\.subject is not listed\n/u);
  expect(result.stdout).toMatch(/guard {2}no-unfiltered-writes .* no: action\.postgres\.unfiltered no\n/u);
  expect(result.stdout).toMatch(/\d+ rules are about other subjects or targets; --all shows them\n$/u);
});

test("what decides is printed with its defaults, and several statements one after the other", async () => {
  const sql = "select id from users where id = 7; select email from users";
  const result = await explain("--as", "bot", "--on", "app-prod", "--sql", sql);
  expect(result.stdout).toContain("\n  mask hash on public.users.email; limit rows 1000");
  expect(result.stdout).toContain("\n- id: pii-masked\n");
  expect(result.stdout).toContain("\n  target:\n    labels: { env: [ prod ] }\n");
});

test("somebody who is not in the tests, at another time, with a grant", async () => {
  const asked = [
    "--as",
    "paul",
    "--groups",
    "support",
    "--on",
    "app-prod",
    "--sql",
    "select full_name from users where id = 7",
  ];
  const night = await explain(...asked, "--at", "2027-03-01T23:00:00+01:00", "--json");
  expect(JSON.parse(night.stdout)).toMatchObject({
    decision: { kind: "deny" },
    subject: { name: "paul", kind: "human", groups: ["support"] },
  });
  const day = await explain(...asked, "--at", "2027-03-01T10:00:00+01:00", "--json");
  expect(JSON.parse(day.stdout)).toMatchObject({
    at: "2027-03-01T09:00:00.000Z",
    decision: {
      kind: "permit",
      rules: ["pii-masked", "support-reads"],
      obligations: { mask: { columns: { "public.users.full_name": { with: "redact" } } } },
    },
  });
  const granted = await explain(...asked, "--grants", "support-sees-one-customer", "--json");
  const view = JSON.parse(granted.stdout) as {
    accesses: { rules: { id: string; standing: string; deciding: boolean; yaml: string | null }[] }[];
  };
  const [first] = view.accesses[0]?.rules ?? [];
  expect(first).toMatchObject({ id: "support-sees-one-customer", standing: "matches", deciding: true });
  expect(first?.yaml).toStartWith("- id: support-sees-one-customer");
  expect(view.accesses[0]?.rules.find(({ id }) => id === "pii-masked")?.standing).toBe("lifted");
});

test("whether a session may open, and accesses where no adapter reads the text", async () => {
  const opening = await explain("--as", "bot", "--on", "app-staging");
  expect(opening.stdout).toStartWith("deny  opening the session\n");
  const accesses = '[{ "class": "write", "verbs": ["delete"], "relations": ["public.tickets"], "unfiltered": true }]';
  const result = await explain("--as", "dora", "--groups", "dba", "--on", "app-prod", "--accesses", accesses);
  expect(result.stdout).toContain("by no-unfiltered-writes");
});

test("a question that cannot be asked says what to do", async () => {
  const cases: readonly [args: string[], message: string][] = [
    [["--on", "app-prod"], "--as is missing"],
    [["--as", "bot"], "--on is missing"],
    [["--as", "bott", "--on", "app-prod"], 'the tests know nobody called bott; did you mean "bot"?'],
    [["--as", "bot", "--on", "app-prod", "--kind", "robot"], "--kind is agent, human or service, not robot"],
    [["--as", "bot", "--on", "app-prod", "--groups", "supprt"], 'there is no group "supprt"'],
    [["--as", "bot", "--on", "app-prod", "--sql", "select 1", "--exec", "ls"], "--sql and --exec are one too many"],
    [["--as", "bot", "--on", "app-prod", "--mcp", "{"], "--mcp is not JSON"],
    [["--as", "bot", "--on", "app-prod", "--exec", "ls"], "exec cannot be read for targets of postgres"],
    [["--as", "bot", "--on", "app-prd", "--sql", "select 1"], "app-prd is neither configured nor in the catalog"],
    [["--as", "bot", "--on", "app-prod", "--at", "noon"], '"noon" is not an instant'],
    [["--as", "bot", "--on", "app-prod", "--grants", "agents-read-support"], "a grant wakes no"],
  ];
  const results = await Promise.all(cases.map(async ([args]) => explain(...args)));
  for (const [index, [, message]] of cases.entries()) {
    expect(results[index]?.stderr).toContain(message);
    expect(results[index]?.status).not.toBe(0);
    expect(results[index]?.stdout).toBe("");
  }
});

test("who may drop a table, on which terms, and what speaks of it", async () => {
  const result = await whoCan("drop", "table", "public.users");
  expect([result.status, result.stderr]).toEqual([0, ""]);
  const lines = result.stdout.split("\n");
  expect(lines[0]).toBe("by break-glass: session at most 2h; record input; alert critical to everyone");
  expect(lines[1]).toBe(
    "  people of oncall on app-prod, app-replica: drop table on public.users, with a grant of break-glass",
  );
  expect(result.stdout).toContain(
    "by engineers-use-staging\n  people of dba or engineers or oncall on app-staging: drop table on public.users\n",
  );
  expect(result.stdout).toMatch(
    /agents-never-define \(guards\/production\.yaml:\d+\) on app-prod, app-replica: denies \(.*\), for agents and services\n/u,
  );
});

test("a class on one target, a column, and nobody", async () => {
  const define = await whoCan("define", "--on", "app-staging", "--json");
  const view = JSON.parse(define.stdout) as { permitted: { rules: string[]; cases: { targets: string[] }[] }[] };
  expect(view.permitted.map(({ rules }) => rules)).toEqual([["engineers-use-staging"]]);
  const column = await whoCan("select", "public.users.email", "--on", "app-prod");
  expect(column.stdout).toContain("by agents-read-support, pii-masked: masked; limit rows 1000");
  const nobody = await whoCan("select public.api_keys", "--on", "app-prod");
  expect(nobody.stdout).toStartWith("Nobody may.\nGuards that speak of it:\n");
});

test("an action of a protocol whose adapter is not there yet", async () => {
  const result = await runWeir(["policy", "who-can", "tools/call", "--policies", BANK, "--on", "github"]);
  expect(result.status).toBe(0);
  expect(result.stdout).toContain("people of developers on github: tools/call");
});

test("what nobody has a word for", async () => {
  const cases: readonly [args: string[], message: string][] = [
    [["drp", "table"], "no adapter has a verb for"],
    [["drop table", "--on", "app-prd"], 'there is no target app-prd; did you mean "app-prod"?'],
    [["tools/call"], "no target known here speaks of that: mcp"],
  ];
  const results = await Promise.all(cases.map(async ([args]) => whoCan(...args)));
  for (const [index, [, message]] of cases.entries()) {
    expect(results[index]?.stderr).toContain(message);
    expect(results[index]?.status).not.toBe(0);
  }
});
