/** Names and samples tell what columns hold. */
import { describe, expect, test } from "bun:test";
import { contentOf } from "./column-content.ts";
import { nameHint } from "./column-names.ts";

describe("names", () => {
  test.each([
    ["email", "e-mail address"],
    ["Customer_EMail", "e-mail address"],
    ["customerEmail2", "e-mail address"],
    ["e-mail", "e-mail address"],
    ["workPhone", "phone number"],
    ["PHONE_NO", "phone number"],
    ["date_of_birth", "date of birth"],
    ["passport-no", "passport"],
    ["creditCardNumber", "card number"],
    ["ssn", "social security number"],
    ["größe_iban", "account number"],
  ])("%s: %s", (name, about) => {
    expect(nameHint(name)?.about).toBe(about);
  });

  test.each(["", "id", "discard", "mailed_out", "cellar", "microphone", "token_count", "birthplaces", "日本"])(
    "%j: nothing",
    (name) => {
      expect(nameHint(name)).toBeNull();
    },
  );
});

describe("samples", () => {
  test("shares are of the values that are there, the largest first", () => {
    const values = ["a@b.de", null, "x", "", "c@d.org and AKIAIOSFODNN7EXAMPLE", "e@f.de a@b.de"];
    expect(contentOf(values)).toEqual([
      { kind: "email", share: 0.75 },
      { kind: "cloud-key", share: 0.25 },
    ]);
    expect(contentOf([])).toEqual([]);
    expect(contentOf([null, ""])).toEqual([]);
  });

  test("what other numbers are by chance is told only when most are", () => {
    const numbers = Array.from({ length: 1000 }, (_, index) => String(100_000_000 + 7919 * index));
    expect(contentOf(numbers)).toEqual([]);
    expect(contentOf(["111222333", "123456782", "5"])).toContainEqual({ kind: "national-id-nl", share: 2 / 3 });
  });
});
