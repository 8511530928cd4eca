/** Windows in rules: by name, written out, outside of one; and what is told of those that are none. */
import { describe, expect, test } from "bun:test";
import { guardOf, oneRule, problemsOf } from "../../../test/policy-problems.ts";
import { setOf } from "../../../test/policy-sets.ts";

const RULE = ["action: { tiny: {} }", "deny: No."];

describe("a window", () => {
  test.each([
    ["$day", "mon-sun 08:00-18:00 Europe/Berlin"],
    ["{ outside: $day }", "outside mon-sun 08:00-18:00 Europe/Berlin"],
    ['{ days: [sat, sun], from: "22:00", to: "06:00", tz: Asia/Tokyo }', "sat-sun 22:00-06:00 Asia/Tokyo"],
    ['{ from: "22:00", to: "06:00" }', "mon-sun 22:00-06:00 Europe/Paris"],
  ])("%s", async (written, text) => {
    const policy = "apiVersion: weir.dev/v1\nkind: PolicySet\nname: x\ntimeZone: Europe/Paris\n";
    const { window } = await guardOf([...RULE, `window: ${written}`], { "policy.yaml": policy });
    expect(window?.text).toBe(text);
  });

  test("without a zone of its own or of the set is in UTC", async () => {
    const { window } = await guardOf([...RULE, 'window: { from: "22:00", to: "06:00" }']);
    expect(window?.text).toBe("mon-sun 22:00-06:00 UTC");
    expect((await guardOf(RULE)).window).toBeNull();
  });

  test.each([
    ["$dya", '7:13 error UNKNOWN_WINDOW there is no window "$dya". Did you mean "$day"?'],
    ["day", '7:13 error UNKNOWN_WINDOW "day" is not the name of a window. Did you mean "$day"?'],
    ["{ outside: $dya }", '7:24 error UNKNOWN_WINDOW there is no window "$dya". Did you mean "$day"?'],
    [
      '{ outside: $day, from: "08:00" }',
      "7:13 error BAD_VALUE outside stands alone. Name a window in vocabulary.yaml and write { outside: $name }",
    ],
    [
      '{ from: "08:00" }',
      '7:13 error MISSING_KEY the key "to" is missing. A window has from and to, such as { days: [mon-fri], from: "08:00", to: "18:00" }',
    ],
    [
      '{ to: "18:00" }',
      '7:13 error MISSING_KEY the key "from" is missing. A window has from and to, such as { days: [mon-fri], from: "08:00", to: "18:00" }',
    ],
    [
      '{ from: "8:00", to: "18:00" }',
      '7:21 error BAD_VALUE "8:00" is not a time of day. Write 00:00 to 23:59, in quotes',
    ],
    [
      '{ days: [monday], from: "08:00", to: "18:00" }',
      '7:22 error BAD_VALUE "monday" is neither a day nor a range of days. There is mon, tue, wed, thu, fri, sat, sun',
    ],
    [
      '{ from: "08:00", to: "18:00", tz: Europe/Berlni }',
      '7:47 error BAD_VALUE there is no time zone "Europe/Berlni". Did you mean "Europe/Berlin"?',
    ],
    ["[day]", "7:13 error WRONG_TYPE expected text or a map, not a list"],
  ])("%s", async (written, expected) => {
    const files = setOf({ "guards/a.yaml": oneRule("Guards", [...RULE, `window: ${written}`]) });
    expect(await problemsOf(files)).toEqual([`guards/a.yaml:${expected}`]);
  });
});
