/** How many sessions there may be, and how long a login may take. */
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { expectRefusedLogin, expectToWork, untilLetIn } from "./expectations.ts";
import type { Suite } from "./suite.ts";

export function testLimits(suite: Suite): void {
  test("a subject has so many sessions and no more, and a closed one makes room", async () => {
    const gateway = await suite.startGateway({ limits: { sessionsPerSubjectMax: 2 } });
    const token = await suite.token(gateway, "ann");
    const first = await suite.connect(gateway, token);
    const second = await suite.connect(gateway, token);
    const refused = expectRefusedLogin(await suite.tryLogin(gateway, token));
    expect(refused.code).toBe(suite.code("limit"));
    expect(refused.text).toContain("sessionsPerSubjectMax");
    const other = await suite.session(gateway, "bob");
    await first.close();
    const third = await untilLetIn(suite, gateway, token);
    for (const client of [second, third, other]) {
      await expectToWork(suite, client);
      await client.close();
    }
    await gateway.stop();
  });

  test("whoever does not log in in time is closed, and others are not", async () => {
    const gateway = await suite.startGateway({ limits: { loginTime: "5s" } });
    // On a machine that has much else to do a login may take that long.
    const client = await untilLetIn(suite, gateway, await suite.token(gateway, "ann"));
    await closedBy(suite.harness.portOf(gateway));
    await expectToWork(suite, client);
    await client.close();
    await gateway.stop();
  });

  test("the gateway has so many sessions and no more", async () => {
    const gateway = await suite.startGateway({ limits: { sessionsMax: 1 } });
    const client = await suite.session(gateway);
    const refused = expectRefusedLogin(await suite.tryLogin(gateway, await suite.token(gateway, "bob")));
    expect(refused.code).toBe(suite.code("limit"));
    await client.close();
    await gateway.stop();
  });
}

/** Connects, says nothing, and resolves when the other side has closed the connection. */
async function closedBy(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(port, "127.0.0.1");
  socket
    .on("data", () => {})
    .on("error", () => resolve())
    .on("close", () => resolve());
  await promise;
}
