/** What is permitted, denied, named by no rule, or cannot be read. */
import { expect, test } from "bun:test";
import type { LogEntry } from "../../src/audit/query.ts";
import { expectRefused, expectToWork } from "./expectations.ts";
import { lastOf, quotedIn, recorded } from "./recorded.ts";
import type { Suite } from "./suite.ts";

export function testDecisions(suite: Suite): void {
  test("what is permitted reaches the target once, is answered and recorded", async () => {
    const client = await suite.session(suite.gateway);
    const mark = suite.mark();
    expect(await client.ask("permitted", mark)).toEqual({ kind: "answered", value: mark });
    expect(suite.target.saw(mark)).toBe(1);
    expect(await recorded(suite.gateway, lastOf("ann"))).toMatchObject({
      event: "operation.intent",
      kind: "permit",
      rules: ["contract-may"],
      outcome: "done",
    });
    await client.close();
  });

  test("what a guard denies never reaches the target, says why, and the session goes on", async () => {
    const client = await suite.session(suite.gateway);
    const mark = suite.mark();
    const told = expectRefused(await client.ask("denied", mark), suite.code("denied"));
    expect(told.text).toContain("never through here");
    expect(told.text).toContain("contract-never");
    const entry = await recorded(suite.gateway, quotedIn(told.text));
    expect(entry).toMatchObject({
      event: "operation.refusal",
      kind: "deny",
      rules: ["contract-never"],
      outcome: "refused",
    });
    await expectToWork(suite, client);
    expect(suite.target.saw(mark)).toBe(0);
    await client.close();
  });

  test("what no rule names is denied", async () => {
    const client = await suite.session(suite.gateway);
    const mark = suite.mark();
    const told = expectRefused(await client.ask("unlisted", mark), suite.code("denied"));
    expect(await recorded(suite.gateway, quotedIn(told.text))).toMatchObject({
      kind: "deny",
      rules: [],
      outcome: "refused",
    });
    await expectToWork(suite, client);
    expect(suite.target.saw(mark)).toBe(0);
    await client.close();
  });

  test("what cannot be read is refused, unless a permit allows that", async () => {
    const ann = await suite.session(suite.gateway);
    const mark = suite.mark();
    const told = expectRefused(await ann.ask("opaque", mark), suite.code("not_understood"));
    expect(await recorded(suite.gateway, quotedIn(told.text))).toMatchObject({ kind: "deny", outcome: "refused" });
    await expectToWork(suite, ann);
    expect(suite.target.saw(mark)).toBe(0);
    await ann.close();

    const opal = await suite.session(suite.gateway, "opal");
    const allowed = suite.mark();
    expect(await opal.ask("opaque", allowed)).toMatchObject({ kind: "answered" });
    expect(suite.target.saw(allowed)).toBe(1);
    expect(await recorded(suite.gateway, lastOf("opal"))).toMatchObject({
      rules: ["contract-opaque"],
      outcome: "done",
    });
    await opal.close();
  });

  test("refusals in a row, mixed with answers, on many sessions at once", async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => suite.session(suite.gateway)));
    await Promise.all(
      clients.map(async (client) => {
        for (let n = 0; n < 5; n++) {
          const mark = suite.mark();
          expectRefused(await client.ask("denied", mark), suite.code("denied"));
          await expectToWork(suite, client);
          expectRefused(await client.ask("unlisted", mark), suite.code("denied"));
          expect(suite.target.saw(mark)).toBe(0);
        }
      }),
    );
    for (const client of clients) await client.close();
  });

  test("a session's connect is recorded with its end", async () => {
    const client = await suite.session(suite.gateway, "connie");
    await client.close();
    // What the client asked for to see that it was let in is recorded too.
    const connect = ({ leaf }: LogEntry): boolean =>
      leaf.shape === "intent" && leaf.subject.name === "connie" && leaf.operation.kind === "connect";
    expect(await recorded(suite.gateway, connect)).toMatchObject({ kind: "permit", outcome: "done" });
  });
}
