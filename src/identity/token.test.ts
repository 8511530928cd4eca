/** The text of tokens: what is made can be read, and nothing else can. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatToken, isTokenId, newToken, parseToken } from "./token.ts";

describe("a token", () => {
  test("is read back, whatever the random bytes", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 9, maxLength: 9 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (id, secret) => {
          const token = newToken((bytes) => (bytes === 9 ? id : secret));
          expect(parseToken(formatToken(token))).toEqual(token);
          expect(isTokenId(token.id)).toBe(true);
        },
      ),
    );
  });

  test("keeps all bits of its secret", () => {
    const secrets = [0, 1, 255].map((fill) => newToken((bytes) => new Uint8Array(bytes).fill(fill)).secret);
    expect(new Set(secrets).size).toBe(3);
    expect(secrets.map((secret) => secret.length)).toEqual([43, 43, 43]);
  });

  test("differs from every other", () => {
    const texts = Array.from({ length: 100 }, () => formatToken(newToken()));
    expect(new Set(texts).size).toBe(100);
    expect(new Set(texts.map((text) => text.slice(0, 17))).size).toBe(100);
  });

  test("with one character changed is no token", () => {
    const text = formatToken(newToken());
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "a" ? "b" : "a";
      expect(parseToken(text.slice(0, at) + other + text.slice(at + 1))).toBeNull();
    }
  });

  test("is not found in anything else", () => {
    fc.assert(fc.property(fc.string(), (text) => parseToken(text) === null));
    const text = formatToken(newToken());
    for (const wrong of [
      "",
      text.slice(1),
      `${text} `,
      ` ${text}`,
      `${text}0`,
      text.replace("weir_", "weer_"),
      `weir_${"é".repeat(62)}`,
    ]) {
      expect(parseToken(wrong)).toBeNull();
    }
  });
});
