/** While the log cannot be written nothing is let through; afterwards everything works again. */
import { expect, test } from "bun:test";
import Database from "libsql";
import { join } from "node:path";
import { LOG_FILE } from "../../src/audit/schema.ts";
import type { Gateway } from "../gateway.ts";
import { expectRefused, expectRefusedLogin, expectToWork, untilLetIn } from "./expectations.ts";
import { entriesOf } from "./recorded.ts";
import type { Suite } from "./suite.ts";

export function testFailingLog(suite: Suite): void {
  test.each(["strict", "release", "relaxed"] as const)(
    "while the log fails nothing is let through (%s)",
    async (durability) => {
      const { target } = suite;
      const gateway = await suite.startGateway({ durability });
      const token = await suite.token(gateway, "ann");
      const client = await suite.connect(gateway, token);
      await expectToWork(suite, client);
      const release = seize(gateway);
      try {
        // In the modes that lag, what comes before the failure is noticed may pass.
        const first = suite.mark();
        let answer = await client.ask("permitted", first);
        if (durability !== "relaxed") expect(answer.kind).toBe("refused");
        if (durability === "strict") expect(target.saw(first)).toBe(0);
        while (answer.kind === "answered") answer = await client.ask("permitted", suite.mark());
        expectRefused(answer, suite.code("audit_unavailable"));
        const mark = suite.mark();
        expect(expectRefusedLogin(await suite.tryLogin(gateway, token)).code).toBe(suite.code("audit_unavailable"));
        await Promise.race([client.ask("permitted", mark), client.ended]);
        expect(target.saw(mark)).toBe(0);
      } finally {
        release();
      }
      const again = await untilLetIn(suite, gateway, token);
      await expectToWork(suite, again);
      await again.close();
      expect((await entriesOf(gateway.folder)).some(({ leaf }) => leaf.event === "audit.gap")).toBe(true);
      expect(await gateway.stop()).toBe(0);
    },
  );
}

/** Makes the log fail: somebody else holds its file, and no commit succeeds until the answer is called. */
function seize(gateway: Gateway): () => void {
  const database = new Database(join(gateway.folder, "data", LOG_FILE));
  database.exec("PRAGMA busy_timeout = 240000; BEGIN IMMEDIATE");
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}
