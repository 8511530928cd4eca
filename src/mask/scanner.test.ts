/** Detectors find what they must wherever it stands, nothing that only looks like it, and take linear time about it. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CLASSIFIERS, type Classifier, isClassifier } from "../core/classifiers.ts";
import { IN_CONTEXT, NEAR_MISSES, SAMPLES } from "../../test/detectors/samples.ts";
import { KINDS, Scanner } from "./scanner.ts";

const utf8 = new TextEncoder();
const decoder = new TextDecoder();
const everything = new Scanner(Object.keys(CLASSIFIERS).filter(isClassifier));

/** What is found in a text, as `kind:part`. */
function found(text: string, scanner = everything): readonly string[] {
  // Something stands around the text that must not be seen.
  const bytes = utf8.encode(`9${text}9`);
  const count = scanner.find(bytes, 1, bytes.length - 1);
  return Array.from({ length: count }, (_, index) => {
    const [start = 0, end = 0, kind = 0] = scanner.scan.spans.subarray(3 * index);
    return `${scanner.kinds[kind]}:${decoder.decode(bytes.subarray(start, end))}`;
  });
}

const samples = KINDS.flatMap((kind) =>
  kind === "national-id" ? [] : SAMPLES[kind].map((sample): [Classifier, string] => [kind, sample]),
);

describe("samples", () => {
  test("there are some of every kind", () => {
    expect(new Set(samples.map(([kind]) => kind))).toEqual(new Set(KINDS));
  });

  test.each(samples)("%s: %s", (kind, sample) => {
    expect(found(sample)).toContain(`${kind}:${sample}`);
    expect(found(sample, new Scanner([kind]))).toContain(`${kind}:${sample}`);
    expect(found(`(${sample}) "${sample}", ${sample}`, new Scanner([kind]))).toEqual(
      Array.from({ length: 3 }, () => `${kind}:${sample}`),
    );
  });

  test.each(IN_CONTEXT)("%s in %s", (kind, text, part) => {
    expect(found(text)).toContain(`${kind}:${part}`);
  });

  test.each(NEAR_MISSES)("not %s: %s", (kind, text) => {
    expect(found(text, new Scanner([kind]))).toEqual([]);
    expect(found(`(${text})`, new Scanner([kind]))).toEqual([]);
  });
});

/** Kinds whose check digit is not wholly kept: two remainders share a digit, or there is no check digit. */
const LOOSE: ReadonlySet<Classifier> = new Set<Classifier>([
  "national-id-bg",
  "national-id-br",
  "national-id-cz",
  "national-id-kr",
  "national-id-ro",
  "national-id-us",
  "phone",
  "email",
  "private-key",
  "cloud-key",
  "jwt",
]);
const STRICT = samples.filter(([kind, sample]) => !LOOSE.has(kind) && !sample.startsWith("AB"));

test.each(STRICT)("%s: %s with any one digit changed is none", (kind, sample) => {
  const scanner = new Scanner([kind]);
  for (let index = 0; index < sample.length; index++) {
    const digit = sample.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) continue;
    for (let step = 1; step < 10; step++) {
      const changed = sample.slice(0, index) + String((digit + step) % 10) + sample.slice(index + 1);
      expect(found(changed, scanner)).toEqual([]);
    }
  }
});

/** Surroundings that end, or begin, with something that no value goes on with. */
const surroundings = fc.oneof(
  fc.constant(""),
  fc.string({ maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...Array.from("0123456789 -.@+_eyJAIKSsk")), maxLength: 40 }),
);

test("a planted value is found wherever it stands, whatever is around it", () => {
  const border = fc.constantFrom('"', "\n", "\t", "|", ";", "<", ">");
  fc.assert(
    fc.property(
      surroundings,
      border,
      fc.constantFrom(...samples),
      border,
      surroundings,
      (a, left, [kind, sample], right, b) => {
        // A key that has begun swallows what follows.
        fc.pre(!a.includes("-----"));
        const text = a + left + sample + right + b;
        const bytes = utf8.encode(text);
        const start = utf8.encode(a + left).length;
        const end = start + utf8.encode(sample).length;
        everything.find(bytes, 0, bytes.length);
        const spans = Array.from({ length: everything.scan.count }, (_, index) => [
          ...everything.scan.spans.subarray(3 * index, 3 * index + 3),
        ]);
        expect(spans).toContainEqual([start, end, everything.kinds.indexOf(kind)]);
      },
    ),
    { numRuns: 3000 },
  );
});

test("spans lie within the text and come in order", () => {
  const pieces = fc.array(fc.oneof(surroundings, fc.constantFrom(...samples.map(([, sample]) => sample))), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(pieces, fc.nat(5), (parts, margin) => {
      const bytes = utf8.encode(parts.join(""));
      const start = Math.min(margin, bytes.length);
      const count = everything.find(bytes, start, bytes.length);
      let last = start;
      for (let index = 0; index < count; index++) {
        const [from = -1, to = -1] = everything.scan.spans.subarray(3 * index);
        expect(from).toBeGreaterThanOrEqual(last);
        expect(to).toBeGreaterThan(from);
        expect(to).toBeLessThanOrEqual(bytes.length);
        last = from;
      }
    }),
  );
});

describe("time", () => {
  /** Bytes that count how often they are read. */
  function counted(text: string): { readonly bytes: Uint8Array; readonly reads: () => number } {
    let reads = 0;
    const bytes = new Proxy(utf8.encode(text), {
      get: (target, key) => {
        reads++;
        return Reflect.get(target, key);
      },
    });
    return { bytes, reads: () => reads };
  }

  const LENGTH = 5_000;
  /** The most that any text costs; a text that costs the square of its length would cost a thousand times as much. */
  const READS_PER_BYTE_MAX = 60;

  const hostile = [
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "@",
    "+",
    "-",
    ".",
    "_",
    " ",
    "%",
    "J",
    "I",
    "K",
    "e",
    "y",
    "A",
    "s",
    "'",
    "1 ",
    "12 ",
    "1234 ",
    "1234-",
    "1.",
    "1/",
    "123456789 ",
    "4111 1111 1111 1111 ",
    "1 1 1 1 1 1 1111111111111111 ",
    "a@",
    "@a",
    "a@b.",
    "@b.de",
    "a@b.de",
    ".a@b.de",
    "%40",
    "a%40b.de",
    "a@b.c@",
    "-@a.",
    "x@xn--",
    "eyJ",
    "eyJ.",
    ".eyJ",
    "eyJa.a.",
    "eyJ.eyJ.eyJ.",
    "eyJhbGciOiIx.",
    "-eyJ",
    "eyJ-",
    "-----",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n-----END ",
    "-----END ",
    "- ",
    "sk-",
    "-sk-",
    "ghp_",
    "github_pat_",
    "xoxb-",
    "sk_live_",
    "AKIA",
    "AIza",
    "ASIA",
    "secret_access_key",
    "SecretAccessKey=",
    "DE89",
    "DE89 ",
    "X1",
    "RSSMRA85",
    "AB12",
    "AB 12 ",
    "+1",
    "+1 ",
    "+",
    "+ ",
    "(212)",
    "06 12 ",
    "0 ",
    ...samples.flatMap(([, sample]) => [sample, `${sample} `]),
  ];

  test.each(hostile)("%j again and again", (piece) => {
    const text = piece.repeat(Math.ceil(LENGTH / piece.length));
    const { bytes, reads } = counted(text);
    everything.find(bytes, 0, bytes.length);
    expect(reads()).toBeLessThan(READS_PER_BYTE_MAX * bytes.length);
  });

  test("a long run behind many beginnings", () => {
    for (const head of ["1 ", "+1", "a@", "eyJ.", "ghp_", "sk-", "-----BEGIN ", "0123 "]) {
      for (const tail of ["1", "a", "-", ".", "a.", "1 "]) {
        const text = head.repeat(LENGTH / 20) + tail.repeat(LENGTH);
        const { bytes, reads } = counted(text);
        everything.find(bytes, 0, bytes.length);
        expect(reads()).toBeLessThan(READS_PER_BYTE_MAX * bytes.length);
      }
    }
  });
});
