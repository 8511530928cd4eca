/** What several cases expect of answers, logins and sessions. */
import { expect } from "bun:test";
import type { Gateway } from "../gateway.ts";
import type { Answer, ContractClient, RefusedLogin, Told } from "./harness.ts";
import type { Suite } from "./suite.ts";

export function expectRefused(answer: Answer, code: string): Told {
  expect(answer).toMatchObject({ kind: "refused", code });
  if (answer.kind !== "refused") throw new Error("it was answered");
  return answer;
}

export async function expectToWork(suite: Suite, client: ContractClient): Promise<void> {
  const mark = suite.mark();
  expect(await client.ask("permitted", mark)).toEqual({ kind: "answered", value: mark });
}

export function expectRefusedLogin(answer: ContractClient | RefusedLogin): RefusedLogin {
  if (!("text" in answer)) throw new Error("the login was let in");
  return answer;
}

/** Tries until a session is let in: what makes room for it may take a moment. */
export async function untilLetIn(suite: Suite, gateway: Gateway, secret: string): Promise<ContractClient> {
  for (;;) {
    const answer = await suite.tryLogin(gateway, secret);
    if (!("text" in answer)) return answer;
    await Bun.sleep(20);
  }
}

export async function revokeLast(gateway: Gateway): Promise<void> {
  const list = await gateway.weir("token", "list", "--json");
  const last: unknown = JSON.parse(list.stdout.trim().split("\n").at(-1) ?? "");
  if (typeof last !== "object" || last === null || !("id" in last) || typeof last.id !== "string") {
    throw new Error(`no token in ${list.stdout}`);
  }
  const revoked = await gateway.weir("token", "revoke", last.id);
  if (revoked.status !== 0) throw new Error(revoked.stderr);
}
