/** Who is let in, and what those are told who are not. */
import { expect, test } from "bun:test";
import { expectRefusedLogin, revokeLast } from "./expectations.ts";
import type { RefusedLogin } from "./harness.ts";
import { CLOSED } from "./policies.ts";
import type { Suite } from "./suite.ts";

export function testLogin(suite: Suite): void {
  test("a wrong, an expired and a revoked token are refused alike", async () => {
    const { gateway } = suite;
    const good = await suite.token(gateway, "ann");
    const expired = await gateway.weir("token", "create", "--subject", "ann", "--kind", "human", "--expires", "1s");
    const revoked = await suite.token(gateway, "ann");
    await revokeLast(gateway);
    const secrets = [`${good.slice(0, -1)}${good.endsWith("A") ? "B" : "A"}`, "nonsense", "", revoked];
    const answers: RefusedLogin[] = [];
    for (const secret of secrets) answers.push(expectRefusedLogin(await suite.tryLogin(gateway, secret)));
    // An expired one is good until it is not.
    for (;;) {
      const answer = await suite.tryLogin(gateway, expired.stdout.trim());
      if (!("text" in answer)) {
        await answer.close();
      } else if (!answer.text.includes("this login is no longer valid")) {
        answers.push(answer);
        break;
      }
      // Else it was let in, and its time was over when it did its first thing.
    }
    for (const answer of answers) expect(answer).toEqual({ code: suite.code("login"), text: answers[0]?.text ?? "" });
    await (await suite.connect(gateway, good)).close();
  });

  test("a target that does not exist and one that is forbidden look alike", async () => {
    const { gateway } = suite;
    const token = await suite.token(gateway, "ann");
    const forbidden = expectRefusedLogin(await suite.tryLogin(gateway, token, CLOSED));
    const unknown = expectRefusedLogin(await suite.tryLogin(gateway, token, "nowhere"));
    expect(forbidden.code).toBe(suite.code("no target"));
    expect(withoutIds(unknown.text).replaceAll("nowhere", CLOSED)).toBe(withoutIds(forbidden.text));
    expect(unknown.code).toBe(forbidden.code);
  });
}

/** Ids differ from one refusal to the next. */
function withoutIds(text: string): string {
  return text.replaceAll(/\(id [^)]+\)/gu, "(id)");
}
