/** Nobody is ever told the target's credential, and no token is kept. */
import { expect, test } from "bun:test";
import { entriesOf } from "./recorded.ts";
import type { Suite } from "./suite.ts";

export function testSecrets(suite: Suite): void {
  test("nobody was told the target's credential, and no token is in the log", async () => {
    const { gateway, target } = suite;
    const leaves = (await entriesOf(gateway.folder)).map(({ json }) => json);
    const status = await gateway.weir("status", "--json");
    const texts = [...suite.said, ...leaves, gateway.log(), status.stdout];
    expect(texts.length).toBeGreaterThan(50);
    expect(texts.filter((text) => text.includes(target.credential))).toEqual([]);
    for (const token of suite.tokens) {
      expect([...leaves, gateway.log()].filter((text) => text.includes(token))).toEqual([]);
      expect(target.saw(token)).toBe(0);
    }
  });
}
