/** What a refusal does not tell the client, its operator finds under the id that the client was told. */
import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Gateway } from "../gateway.ts";
import { expectRefusedLogin } from "./expectations.ts";
import { policy } from "./policies.ts";
import type { Suite } from "./suite.ts";

/** More than enough to be coalesced. */
const MANY = 12;
/** As many lines as there are at most with the same words in a minute; behind the minute there is one with the rest. */
const LINES_MAX = 3;
const MINUTE_MS = 60_000;

/** The operator's lines that begin with this id and go on behind the words that the client was told. */
function linesOf(gateway: Gateway, id: string): readonly string[] {
  return gateway
    .log()
    .split("\n")
    .filter((line) => line.startsWith(`weir: ${id}: `));
}

function idIn(text: string): string {
  const id = /\bid (?<id>[0-9A-Z]{6}-[0-9A-Z]+)/u.exec(text)?.groups?.["id"];
  if (id === undefined) throw new Error(`no id is quoted in ${text}`);
  return id;
}

/** The one line of a refusal, behind `ID: message: `. It may come after the client's words. */
async function detailOf(gateway: Gateway, told: string, message: string): Promise<string> {
  expect(told).toContain(message);
  await gateway.said(`weir: ${idIn(told)}: ${message}: `);
  const lines = linesOf(gateway, idIn(told));
  expect(lines).toHaveLength(1);
  const [head = "", detail = ""] = (lines[0] ?? "").split(`${message}: `);
  expect(head).toBe(`weir: ${idIn(told)}: `);
  expect(detail).not.toBe("");
  expect(told).not.toContain(detail);
  return detail;
}

export function testDetails(suite: Suite): void {
  test("why a target cannot be reached, its operator reads once under the client's id; of many clients a few lines", async () => {
    const { target } = suite;
    const gateway = await suite.startGateway();
    const token = await suite.token(gateway, "ann");
    await target.vanish();
    const message = 'the target "open" cannot be reached';
    const begunMs = performance.now();
    const first = expectRefusedLogin(await suite.tryLogin(gateway, token));
    expect(await detailOf(gateway, first.text, message)).toMatch(/ECONNREFUSED|refused/u);
    const ids = new Set<string>();
    for (let n = 0; n < MANY; n++) ids.add(idIn(expectRefusedLogin(await suite.tryLogin(gateway, token)).text));
    expect(ids.size).toBe(MANY);
    const lines = gateway.log().split(`${message}: `).length - 1;
    const minutesPassed = Math.floor((performance.now() - begunMs) / MINUTE_MS);
    expect(lines).toBeLessThanOrEqual(LINES_MAX + minutesPassed * (LINES_MAX + 1));
    await target.comeBack();
    await gateway.stop();
  });

  test("why nothing can be recorded, under the id of what was refused for it", async () => {
    const { harness } = suite;
    const guards = `  - { id: contract-recorded, action: ${harness.actions.permitted}, oblige: { record: [output] } }\n`;
    const permits = `  - { id: contract-may, subject: { any: true }, target: { any: true }, action: { any: true }, allowOpaque: true }\n`;
    const gateway = await suite.startGateway({ policyFiles: policy(harness.actions, { permits, guards }) });
    const file = join(gateway.folder, "data", "recordings.db");
    for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix, { force: true });
    writeFileSync(file, "this is no file of recordings, and long enough to be taken for a broken one".repeat(20));
    const secret = await suite.token(gateway, "bob");
    // Where a login ends with something that is asked for, that is what is refused.
    const client = await suite.tryLogin(gateway, secret);
    const told = "text" in client ? client : await client.ask("permitted", suite.mark());
    if (!("text" in told)) throw new Error("it was answered without its recording");
    suite.said.push(told.text);
    const message = "policy obliges to record this, and nothing can be recorded now";
    expect(await detailOf(gateway, told.text, message)).toMatch(/not a database|malformed/u);
    if ("close" in client) await client.close();
    await gateway.stop();
  });
}
