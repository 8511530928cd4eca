/** A clock that is set while the gateway runs: windows decide nothing until it is right again or somebody confirms it. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { canFail, FaultyMachine, faultyMachineLibrary } from "../fault/faulty-machine.ts";
import { type CommandResult, startGateway } from "../gateway.ts";
import { startPostgres } from "../servers/postgres.ts";
import { policyFiles } from "./postgres/policed.ts";

const POLICY = policyFiles(
  `  - id: read
    subject: { any: true }
    target: { any: true }
    action: { postgres: { verbs: [select] } }
  - id: change-until-2100
    subject: { any: true }
    target: { any: true }
    validUntil: 2100-01-01T00:00:00Z
    action: { postgres: { verbs: [insert] } }
`,
  `  - id: nothing-from-2100-on
    subject: { any: true }
    target: { any: true }
    validFrom: 2100-01-01T00:00:00Z
    action: { postgres: { verbs: [delete] } }
    deny: Not any more.
`,
);

// A library is preloaded into the gateway, which only Linux can do, and a C compiler has to make it.
test.skipIf(!canFail())(
  "a clock that is set is noticed, recorded, and confirmed (needs Linux and a C compiler)",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-clock-"));
    using machine = new FaultyMachine(faultyMachineLibrary(folder), "/nothing");
    const server = await startPostgres({ sql: "CREATE TABLE t (n int)" });
    const gateway = await startGateway({ postgres: server, env: machine.env, policyFiles: POLICY });
    const client = new Client(await gateway.url());
    await client.connect();
    const read = async (): Promise<unknown> => client.query("SELECT n FROM t").then(() => "done", String);
    const insert = async (): Promise<unknown> => client.query("INSERT INTO t VALUES (1)").then(() => "done", String);
    const steppedBy = async (): Promise<unknown> => {
      const { stdout } = await gateway.weir("status", "--json");
      return (JSON.parse(stdout) as { clockSteppedByMs: number | null }).clockSteppedByMs;
    };
    try {
      expect([await read(), await insert(), await steppedBy()]).toEqual(["done", "done", null]);
      machine.setClock(7200);
      expect(Math.round(Number(await steppedBy()) / 1000)).toBe(7200);
      expect([await read(), await insert()]).toEqual(["done", expect.stringContaining("no rule permits")]);

      machine.setClock(0);
      expect([await steppedBy(), await insert()]).toEqual([null, "done"]);

      machine.setClock(-7200);
      expect(await insert()).toContain("no rule permits");
      const confirmed = await gateway.weir("clock", "confirm");
      expect(confirmed.stdout).toBe("the clock is taken for right, which was set by -7200 s\n");
      expect([await insert(), await steppedBy()]).toEqual(["done", null]);
      expect((await gateway.weir("clock", "confirm")).stdout).toBe("the clock had not been set: nothing to confirm\n");
      await gateway.said("the clock was set forward by 7200 s: permits with a window or a validity are off");
      expect(clockEvents(await gateway.weir("audit", "tail", "--json", "--lines", "1000"))).toEqual([
        "clock.stepped 7200",
        "clock.stepped 0",
        "clock.stepped -7200",
        "clock.confirmed -7200",
        "clock.stepped 0",
      ]);
    } finally {
      await client.end();
      await gateway.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  240_000,
);

/** What the log says of the clock, with seconds. */
function clockEvents({ stdout }: CommandResult): readonly string[] {
  return stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { leaf: { event: string; facts?: Record<string, unknown> } }).leaf)
    .filter(({ event }) => event.startsWith("clock."))
    .map(({ event, facts }) => `${event} ${Math.round(Number(facts?.["byMs"]) / 1000)}`);
}
