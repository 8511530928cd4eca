/** Which recipients the configuration takes, held against those that age-encryption makes. */
import { expect, test } from "bun:test";
import { generateHybridIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { isAgeRecipient } from "./age-recipient.ts";

async function recipient(): Promise<string> {
  return identityToRecipient(await generateX25519Identity());
}

test("recipients of age are taken", async () => {
  for (let round = 0; round < 50; round++) expect(isAgeRecipient(await recipient())).toBe(true);
});

test("each wrong character, and each character that is missing or too much, is found", async () => {
  const good = await recipient();
  for (let at = 0; at < good.length; at++) {
    const other = good[at] === "q" ? "p" : "q";
    expect(isAgeRecipient(good.slice(0, at) + other + good.slice(at + 1))).toBe(false);
    expect(isAgeRecipient(good.slice(0, at) + good.slice(at + 1))).toBe(false);
    expect(isAgeRecipient(`${good.slice(0, at)}q${good.slice(at)}`)).toBe(false);
  }
});

test("what is no native recipient is not taken", async () => {
  const identity = await generateX25519Identity();
  const hybrid = await identityToRecipient(await generateHybridIdentity());
  for (const text of [
    "",
    "age1",
    "age1x",
    identity,
    identity.toLowerCase(),
    hybrid,
    (await recipient()).toUpperCase(),
  ]) {
    expect(isAgeRecipient(text)).toBe(false);
  }
});
