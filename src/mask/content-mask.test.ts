/** Masks hide what is found and leave all else byte for byte; JSON stays JSON of the same structure. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ContentForm } from "../core/content.ts";
import type { MaskTransform } from "../core/obligation.ts";
import { SAMPLES } from "../../test/detectors/samples.ts";
import { DetectingMask, TEXT_BYTES_MAX } from "./content-mask.ts";

const utf8 = new TextEncoder();
const decoder = new TextDecoder();
const REDACT: MaskTransform = { with: "redact" };
const ABSENT = Symbol("absent");

type Masks = Record<string, MaskTransform>;

function maskOf(classifiers: Masks, patterns: Masks = {}, hashKey: Uint8Array | null = null): DetectingMask {
  const compiled = Object.entries(patterns).map(([text, transform]) => ({ text, transform }));
  return new DetectingMask({ classifiers, patterns: compiled, hashKey });
}

/** The masked text; the text itself where it stays. Something stands around it that must not be seen. */
function masked(mask: DetectingMask, text: string, form: ContentForm = "text"): string | typeof ABSENT {
  const bytes = utf8.encode(`9${text}9`);
  const answer = mask.mask(bytes, 1, bytes.length - 1, form);
  if (answer === "absent") return ABSENT;
  return answer === null ? text : decoder.decode(answer);
}

const email = maskOf({ email: REDACT });

describe("texts", () => {
  test("what is found is replaced, and what is around it stays", () => {
    expect(masked(email, "from a@b.de to c@d.org, \u{1F600} and back")).toBe("from *** to ***, \u{1F600} and back");
  });

  test("what has nothing to hide is answered with null, the empty text too", () => {
    const bytes = utf8.encode("nothing here");
    expect(email.mask(bytes, 0, bytes.length, "text")).toBeNull();
    expect(email.mask(bytes, 3, 3, "text")).toBeNull();
    expect(email.holds(bytes, 0, bytes.length)).toBe(false);
  });

  test("partial keeps characters of either end, unless that is all there is", () => {
    const mask = (keepFirst: number, keepLast: number) => maskOf({ email: { with: "partial", keepFirst, keepLast } });
    expect(masked(mask(1, 4), "müller@b.de")).toBe("m***b.de");
    expect(masked(mask(2, 0), "<müller@b.de>")).toBe("<mü***>");
    expect(masked(mask(0, 2), "müller@b.de")).toBe("***de");
    expect(masked(mask(3, 3), "a@b.de")).toBe("***");
    expect(masked(mask(9, 9), "a@b.de")).toBe("***");
  });

  test("null leaves no value at all", () => {
    expect(masked(maskOf({ email: { with: "null" } }), "to a@b.de")).toBe(ABSENT);
  });

  test("a hash is the same for the same value and key, and nothing without a key", () => {
    const key = utf8.encode("key");
    const hashed = masked(maskOf({ email: { with: "hash" } }, {}, key), "a@b.de c@d.de a@b.de");
    const [first, second, third, ...more] = String(hashed).split(" ");
    expect([first?.length, first === third, first === second, more]).toEqual([32, true, false, []]);
    expect(masked(maskOf({ email: { with: "hash" } }, {}, utf8.encode("kez")), "a@b.de")).not.toBe(first);
    expect(masked(maskOf({ email: { with: "hash" } }), "a@b.de")).toBe("***");
  });

  test("where two meet, the stricter holds", () => {
    const partial = (keepFirst: number, keepLast: number): MaskTransform => ({ with: "partial", keepFirst, keepLast });
    const text = "4111111111111111@b.de";
    expect(masked(maskOf({ email: partial(3, 3), "card-number": partial(4, 1) }), text)).toBe("411***e");
    expect(masked(maskOf({ email: partial(3, 3), "card-number": { with: "null" } }), text)).toBe("***");
    const ids = maskOf({ "national-id": partial(3, 3), "national-id-us": partial(1, 4) });
    expect(masked(ids, "219-09-9999")).toBe("2***999");
  });

  test("what is too long is redacted whole", () => {
    const bytes = new Uint8Array(TEXT_BYTES_MAX + 1).fill(0x61);
    expect(email.mask(bytes, 0, TEXT_BYTES_MAX, "text")).toBeNull();
    expect(email.mask(bytes, 0, bytes.length, "text")).toEqual(utf8.encode("***"));
    expect(email.holds(bytes, 0, bytes.length)).toBe(true);
    expect(email.mask(bytes, 0, bytes.length, "json")).toEqual(utf8.encode('"***"'));
    expect(email.mask(bytes, 0, bytes.length, "parts")).toBe("absent");
  });

  test("a name that no detector has hides everything", () => {
    expect(masked(maskOf({ nonsense: REDACT }), "abc")).toBe("***");
    expect(
      masked(
        new DetectingMask({ classifiers: {}, patterns: [{ text: null, transform: REDACT }], hashKey: null }),
        "abc",
      ),
    ).toBe("***");
  });
});

describe("author patterns", () => {
  const ticket = maskOf({}, { "TCK-[0-9]{3}": REDACT });

  test("all matches are masked, between whatever characters", () => {
    expect(masked(ticket, "é TCK-123 \u{1F600}TCK-456é€TCK-789.")).toBe("é *** \u{1F600}***é€***.");
    for (const wide of [
      "\u007f",
      "\u0080",
      "\u07ff",
      "\u0800",
      "\ud7ff",
      "\ue000",
      "\uffff",
      "\u{10000}",
      "\u{10ffff}",
    ]) {
      expect(masked(ticket, `${wide}TCK-123${wide}${wide}TCK-456${wide}`)).toBe(`${wide}***${wide}${wide}***${wide}`);
    }
    expect(masked(ticket, "TCK-12")).toBe("TCK-12");
  });

  test("they go together with detectors", () => {
    expect(masked(maskOf({ email: REDACT }, { "TCK-[0-9]{3}": { with: "null" } }), "a@b.de")).toBe("***");
    expect(masked(maskOf({ email: REDACT }, { "TCK-[0-9]{3}": { with: "null" } }), "a@b.de TCK-123")).toBe(ABSENT);
  });

  test("an empty match hides nothing", () => {
    expect(masked(maskOf({}, { "x*": REDACT }), "abxxc")).toBe("ab***c");
  });

  test("a text in which the search would cost too much is redacted whole", () => {
    const hostile = maskOf({}, { "a.*?b|a": REDACT });
    expect(masked(hostile, "a".repeat(20))).toBe("***".repeat(20));
    expect(masked(hostile, "a".repeat(2000))).toBe("***");
    expect(masked(hostile, "c".repeat(2000))).toBe("c".repeat(2000));
    expect(masked(hostile, "c".repeat(2_000_000))).toBe("***");
  });

  test("what a value may cost is spent by all of its parts and patterns together", () => {
    const strings = JSON.stringify(Array.from({ length: 50_000 }, () => "b"));
    const answer = String(masked(maskOf({}, { "TCK-[0-9]{3}": REDACT }), strings));
    expect([answer.startsWith('["b","b"'), answer.endsWith('"***","***"]')]).toEqual([true, true]);
    expect(JSON.parse(answer)).toHaveLength(50_000);
    const numbers = masked(maskOf({}, { "TCK-[0-9]{3}": REDACT }), `[${"1,".repeat(50_000)}1]`);
    expect(String(numbers).endsWith("null,null]")).toBe(true);
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`TCK-[0-9]{3}${index}`, REDACT]));
    expect(masked(maskOf({}, many), "b".repeat(10_000))).toBe("b".repeat(10_000));
    expect(masked(maskOf({}, many), "b".repeat(20_000))).toBe("***");
    expect(masked(maskOf({}, many), "b".repeat(10_000))).toBe("b".repeat(10_000));
  });

  test("a text that is not UTF-8 is redacted whole", () => {
    const bytes = Uint8Array.of(0x61, 0xff, 0x62);
    expect(ticket.mask(bytes, 0, 3, "text")).toEqual(utf8.encode("***"));
    expect(email.mask(bytes, 0, 3, "text")).toBeNull();
  });
});

describe("JSON", () => {
  const all = maskOf({ email: REDACT, "card-number": REDACT });

  test.each([
    ['{"e":"a@b.de","n":1}', '{"e":"***","n":1}'],
    ['{ "e" : "to a@b.de" }', '{ "e" : "to ***" }'],
    ['["a\\u0040b.de"]', '["***"]'],
    ['["x\\na\\u0040b.de\\t\\u00e9\\"\\\\\\/"]', '["x\\n***\\té\\"\\\\/"]'],
    ['["\\ud83d\\ude00a@b.de"]', '["***"]'],
    ['["\\udc00\\udc00 a\\u0040b.de"]', '["\ufffd\ufffd ***"]'],
    ['["\\ud800\\udc00\\udbff\\udfff a\\u0040b.de"]', '["\u{10000}\u{10ffff} ***"]'],
    ['["\\ud83d a\\u0040b.de"]', '["\ufffd ***"]'],
    ['["\\u0000 a@b.de\\u001f"]', '["\\u0000 ***\\u001f"]'],
    ['{"a@b.de":1}', '{"***":1}'],
    ["[4111111111111111, 41]", "[null, 41]"],
    ['{"c":4111111111111111}', '{"c":null}'],
    ['"a@b.de"', '"***"'],
    ["4111111111111111", "null"],
    ['{"s":"{\\"e\\":\\"a\\\\u0040b.de\\"}"}', '{"s":"{\\"e\\":\\"***\\"}"}'],
    ["[]", "[]"],
    ["{a@b.de}", '"***"'],
    ['["a@b.de]', '"***"'],
    ['["a@b.de\\x"]', '"***"'],
  ])("%s", (text, expected) => {
    expect(masked(all, text, "json")).toBe(expected);
  });

  test("null leaves null where a value stands, and redacts where a name stands", () => {
    expect(masked(maskOf({ email: { with: "null" } }), '{"a@b.de" : ["a@b.de", "c"]}')).toBe('{"***" : [null, "c"]}');
  });

  test("a text that is JSON is masked as JSON, and one that only looks like it as a text", () => {
    expect(masked(all, ' {"e":"\\u0061@b.de"}\n')).toBe(' {"e":"***"}\n');
    expect(masked(all, "{see a@b.de}")).toBe("{see ***}");
    expect(masked(all, '{"a@b.de}')).toBe('{"***}');
    expect(masked(maskOf({ email: { with: "null" } }), '["a@b.de"]')).toBe("[null]");
  });

  test("patterns are searched for in strings only, so that nothing of the structure goes", () => {
    expect(masked(maskOf({}, { ".+": REDACT }), '{"a":[1,"b"]}')).toBe('{"***":[null,"***"]}');
    expect(masked(maskOf({}, { '"?,"?': REDACT }), '{"a":"b","c":",d"}')).toBe('{"a":"b","c":"***d"}');
  });

  const secrets = Object.values(SAMPLES).flat();
  const strings = fc.oneof(fc.string(), fc.constantFrom(...secrets), fc.string({ unit: "binary" }));
  const values = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      strings,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(strings, tie("value"), { maxKeys: 4 }),
    ),
  })).value;

  /** The same, with every string that is not to be seen gone. */
  function shape(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(shape);
    if (typeof value === "object" && value !== null) return Object.values(value).map(shape);
    return typeof value === "number" || value === null ? "number" : typeof value;
  }

  /** As JSON; where `isEscaped`, with what values are told by written as escapes. */
  function write(value: unknown, isEscaped: boolean): string {
    if (Array.isArray(value)) return `[${value.map((each) => write(each, isEscaped)).join(", ")}]`;
    if (typeof value === "object" && value !== null) {
      const members = Object.entries(value).map(
        ([name, each]) => `${write(name, isEscaped)}: ${write(each, isEscaped)}`,
      );
      return `{${members.join(",")}}`;
    }
    const written = JSON.stringify(value);
    if (typeof value !== "string" || !isEscaped) return written;
    return written.replaceAll(/[@ \-.+_]/gu, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
  }

  test("any JSON stays JSON of the same structure, with nothing found in it", () => {
    const everything = maskOf(Object.fromEntries(Object.keys(SAMPLES).map((kind) => [kind, REDACT])));
    fc.assert(
      fc.property(values, fc.boolean(), (value, isEscaped) => {
        const text = write(value, isEscaped);
        const answer = String(masked(everything, text, "json"));
        const parsed: unknown = JSON.parse(answer);
        if (answer === text) return;
        if (isUnique(value)) expect(shape(parsed)).toEqual(shape(value));
        expect(masked(everything, answer, "json")).toBe(answer);
        expect(masked(everything, JSON.stringify(parsed), "json")).toBe(JSON.stringify(parsed));
      }),
      { numRuns: 2000 },
    );
  });

  /** Names that are masked alike fall together when the text is parsed. */
  function isUnique(value: unknown): boolean {
    if (Array.isArray(value)) return value.every(isUnique);
    if (typeof value !== "object" || value === null) return true;
    return Object.keys(value).length < 2 && Object.values(value).every(isUnique);
  }
});

describe("parts of arrays, composites and XML", () => {
  test("masks stand in place, and the structure stays", () => {
    expect(masked(email, '{a@b.de,"x y",c}', "parts")).toBe('{***,"x y",c}');
    expect(masked(email, '(1,"to a@b.de",)', "parts")).toBe('(1,"to ***",)');
    expect(masked(maskOf({ email: { with: "null" } }), "{a@b.de}", "parts")).toBe("{***}");
  });

  test("where a mask would take structure with it, no value is left", () => {
    expect(masked(maskOf({}, { "a.c": REDACT }), "{a,c}", "parts")).toBe(ABSENT);
    expect(masked(maskOf({ "private-key": REDACT }), "{-----BEGIN PRIVATE KEY-----,x}", "parts")).toBe(ABSENT);
  });
});
