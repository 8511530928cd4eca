/** Targets and clients that vanish, gateways that are told to stop and gateways that are killed. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expectRefused, expectRefusedLogin, expectToWork } from "./expectations.ts";
import { entriesOf, lastOf, openIntents, recorded } from "./recorded.ts";
import type { Suite } from "./suite.ts";

export function testVanishing(suite: Suite): void {
  test("a target that vanishes ends its sessions, and comes back to new ones", async () => {
    const { gateway, target } = suite;
    const token = await suite.token(gateway, "ann");
    const idle = await suite.connect(gateway, token);
    const busy = await suite.connect(gateway, token);
    await target.hold();
    const pending = busy.ask("held", suite.mark());
    await target.untilHeld(1);
    await target.vanish();
    expectRefused(await pending, suite.code("target_unavailable"));
    expect((await idle.ended)?.code).toBe(suite.code("target_unavailable"));
    await busy.ended;
    const refused = expectRefusedLogin(await suite.tryLogin(gateway, token));
    expect(refused.code).toBe(suite.code("target_unavailable"));
    await target.letGo();
    // Else what is left of this could be taken for what the next one holds.
    await target.untilHeld(0);
    await target.comeBack();
    const again = await suite.connect(gateway, token);
    await expectToWork(suite, again);
    await again.close();
  });

  test("a client that vanishes takes its running operation along", async () => {
    const { target } = suite;
    const gateway = await suite.startGateway();
    const client = await suite.session(gateway);
    await target.hold();
    const mark = suite.mark();
    void client.ask("held", mark);
    await target.untilHeld(1);
    await client.close();
    await target.letGo();
    await target.untilHeld(0);
    expect(await recorded(gateway, lastOf("ann"))).toMatchObject({ kind: "permit" });
    await gateway.stop();
  });
}

export function testDrain(suite: Suite): void {
  test("SIGTERM: what runs finishes, idle sessions end, nobody new comes in, the log is closed", async () => {
    const { target } = suite;
    const folder = mkdtempSync(join(tmpdir(), "weir-contract-drain-"));
    try {
      const gateway = await suite.startGateway({ folder });
      const token = await suite.token(gateway, "ann");
      const idle = await suite.connect(gateway, token);
      const busy = await suite.connect(gateway, token);
      const mark = suite.mark();
      await target.hold();
      const running = busy.ask("held", mark);
      await target.untilHeld(1);
      const stopped = gateway.stop("SIGTERM");
      expect((await idle.ended)?.code).toBe(suite.code("draining"));
      expectRefusedLogin(await suite.tryLogin(gateway, token));
      await target.letGo();
      expect(await running).toEqual({ kind: "answered", value: mark });
      expect((await busy.ended)?.code).toBe(suite.code("draining"));
      expect(await stopped).toBe(0);
      const before = await entriesOf(folder);
      expect(before.at(-1)?.leaf.event).toBe("audit.closed");
      expect(openIntents(before)).toEqual([]);

      const next = await suite.startGateway({ folder });
      const opened = (await entriesOf(folder)).findLast(({ leaf }) => leaf.event === "audit.opened")?.leaf;
      expect(opened).toMatchObject({ facts: { previous: "clean", unknown: 0 } });
      await (await suite.connect(next, token)).close();
      await next.stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("SIGTERM: what still runs after the drain time is ended, at the target too", async () => {
    const { target } = suite;
    const gateway = await suite.startGateway({ limits: { drainTime: "1s" } });
    const client = await suite.session(gateway);
    await target.hold();
    const running = client.ask("held", suite.mark());
    await target.untilHeld(1);
    const stopped = gateway.stop("SIGTERM");
    expectRefused(await running, suite.code("draining"));
    await target.untilHeld(0);
    await target.letGo();
    expect(await stopped).toBe(0);
  });

  test("after a kill the next start closes what was left open as unknown", async () => {
    const { target } = suite;
    const folder = mkdtempSync(join(tmpdir(), "weir-contract-kill-"));
    try {
      const gateway = await suite.startGateway({ folder });
      const client = await suite.session(gateway);
      await target.hold();
      void client.ask("held", suite.mark());
      await target.untilHeld(1);
      await gateway.stop("SIGKILL");
      await target.letGo();
      await target.untilHeld(0);
      expect(openIntents(await entriesOf(folder))).not.toEqual([]);
      const next = await suite.startGateway({ folder });
      const entries = await entriesOf(folder);
      expect(entries.findLast(({ leaf }) => leaf.event === "audit.opened")?.leaf).toMatchObject({
        facts: { previous: "unclean" },
      });
      expect(await recorded(next, lastOf("ann"))).toMatchObject({ outcome: "unknown" });
      await next.stop();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
