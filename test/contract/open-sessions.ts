/** Revocations and changed policies reach sessions that are open. */
import { expect, test } from "bun:test";
import { expectRefused, expectToWork, revokeLast } from "./expectations.ts";
import type { Answer, ContractClient, Told } from "./harness.ts";
import { OPEN, policy } from "./policies.ts";
import { entriesOf } from "./recorded.ts";
import type { Suite } from "./suite.ts";

const REVOKED_TIME_MS_MAX = 5_000;
/** As much of the time that an answer takes counts. */
const ANSWER_TIME_MS_MAX = 500;

export function testOpenSessions(suite: Suite): void {
  test("revoking a token ends its open sessions within five seconds, and no others", async () => {
    const { gateway } = suite;
    const other = await suite.session(gateway);
    const client = await suite.session(gateway);
    await revokeLast(gateway);
    const told = await endedWithin(client, REVOKED_TIME_MS_MAX, () => expectToWork(suite, other));
    expect(told?.code).toBe(suite.code("ended login"));
    await expectToWork(suite, other);
    await other.close();
  });

  test("a changed policy changes the next answer in an open session", async () => {
    const gateway = await suite.startGateway();
    const client = await suite.session(gateway);
    await expectToWork(suite, client);
    for (const [path, text] of Object.entries(
      policy(suite.harness.actions, {
        guards: `  - { id: contract-new, action: ${suite.harness.actions.permitted}, deny: "no more" }\n`,
      }),
    )) {
      gateway.writePolicy(path, text);
    }
    let answer: Answer;
    do answer = await client.ask("permitted", suite.mark());
    while (answer.kind === "answered");
    expect(expectRefused(answer, suite.code("denied")).text).toContain("contract-new");
    for (const [path, text] of Object.entries(policy(suite.harness.actions))) gateway.writePolicy(path, text);
    do answer = await client.ask("permitted", suite.mark());
    while (answer.kind === "refused");
    await client.close();
    await gateway.stop();
  });

  test("a policy with errors is not taken; the last good one stays", async () => {
    const gateway = await suite.startGateway();
    const client = await suite.session(gateway);
    gateway.writePolicy("permits/contract.yaml", "apiVersion: weir.dev/v1\nkind: Permits\nrules: [{ id: broken }]\n");
    while (!(await entriesOf(gateway.folder)).some(({ leaf }) => leaf.event === "policy.rejected")) await Bun.sleep(10);
    await expectToWork(suite, client);
    expectRefused(await client.ask("denied", suite.mark()), suite.code("denied"));
    await client.close();
    await gateway.stop();
  });

  test("a policy that no longer lets a session in ends it, and no others", async () => {
    const gateway = await suite.startGateway();
    const ann = await suite.session(gateway);
    const bob = await suite.session(gateway, "bob");
    const { permitted, held } = suite.harness.actions;
    const permits = `  - { id: contract-bob, subject: { names: [bob] }, target: { names: [${OPEN}] }, action: [${permitted}, ${held}] }\n`;
    for (const [path, text] of Object.entries(policy(suite.harness.actions, { permits })))
      gateway.writePolicy(path, text);
    expect((await ann.ended)?.code).toBe(suite.code("denied"));
    await expectToWork(suite, bob);
    await bob.close();
    await gateway.stop();
  });
}

/**
 * Rejects when the session is still open after this time. Of that only what the gateway has answered others in counts:
 * one that the machine keeps from running is not late.
 */
async function endedWithin(
  client: ContractClient,
  durationMs: number,
  answers: () => Promise<void>,
): Promise<Told | null> {
  const ends = { isSeen: false };
  const ended = client.ended.finally(() => (ends.isSeen = true));
  for (let answeringMs = 0; !ends.isSeen;) {
    if (answeringMs > durationMs) throw new Error(`the session is open after ${durationMs} ms`);
    const begunMs = performance.now();
    await Bun.sleep(10);
    await answers();
    answeringMs += Math.min(performance.now() - begunMs, ANSWER_TIME_MS_MAX);
  }
  return ended;
}
