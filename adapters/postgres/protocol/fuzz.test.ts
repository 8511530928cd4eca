/** Tests that no bytes make a decoder throw anything but its declared errors, keep more than it was given, or lose a byte. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { WireError } from "../../../src/wire/wire-error.ts";
import { CODECS, messagesOf, NO_ENCODER } from "../../../test/captures/messages.ts";
import { readCaptures } from "../../../test/captures/postgres.ts";
import { BIND_HEAD_BYTES_MAX, decodeBindHead, decodeFunctionCallHead } from "./frontend.ts";

const RUNS = 1000;
const captured = (await readCaptures()).flatMap(messagesOf);

/**
 * How much a decoded value holds: elements, characters, bytes. Each costs its sender at least one byte of the body,
 * so a decoder that makes room for a number it was merely told is found out. Bytes must be views into the body.
 */
function weigh(value: unknown, body: Uint8Array): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) {
    expect(value.buffer).toBe(body.buffer);
    return value.length;
  }
  if (value instanceof Map) return weigh([...value], body);
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + weigh(item, body), value.length);
  if (typeof value === "object" && value !== null) return weigh(Object.values(value), body);
  return 0;
}

/** What a decoder may answer with beyond the body: the words this code gives to what it read ("unsupported", "saslContinue"). */
const WORDS_MAX = 100;
/** An element weighs its place, its record's fields and its text; the smallest of these is a 2-byte format code. */
const WEIGHT_PER_BYTE = 4;

/** Decodes; null when the body was refused with a declared error. Anything else thrown fails the test. */
function decodeOrRefuse(decode: (body: Uint8Array) => unknown, body: Uint8Array): { value: unknown } | null {
  try {
    return { value: decode(body) };
  } catch (error) {
    if (error instanceof WireError && (error.code.startsWith("WIRE_") || error.code.startsWith("PROTOCOL_")))
      return null;
    throw error;
  }
}

/** Texts for people hold no bytes that are not UTF-8, but what replaces them. */
function wasReplaced(_: Uint8Array, value: unknown): boolean {
  return Bun.inspect(value, { depth: 10 }).includes("\uFFFD");
}

/** Where one answer stands for several bodies, on purpose. */
const LOSSY: Readonly<Record<string, (body: Uint8Array, value: unknown) => boolean>> = {
  "server error": wasReplaced,
  "server notice": wasReplaced,
  "server notification": wasReplaced,
  "server rowDescription": wasReplaced,
  "server commandComplete": (body) => body.some((byte) => byte > 0x7f),
  // The bare minor number, which the documentation speaks of, and the whole version, which servers send.
  "server negotiateProtocolVersion": (body) => body[1] === 0,
};

function expectSound(kind: string, body: Uint8Array): void {
  const codec = CODECS[kind];
  if (codec === undefined) throw new Error(`no codec for ${kind}`);
  const before = body.slice();
  const decoded = decodeOrRefuse(codec.decode, body);
  expect(body).toEqual(before);
  if (decoded === null) return;
  expect(weigh(decoded.value, body)).toBeLessThanOrEqual(WEIGHT_PER_BYTE * body.length + WORDS_MAX);
  if (LOSSY[kind]?.(body, decoded.value) === true) return;
  const again = codec.recode(body);
  if (again === NO_ENCODER) return;
  expect(again.subarray(kind === "client startup" ? 4 : 5).toHex()).toBe(body.toHex());
}

/** A change such as a faulty or hostile peer would make. */
type Mutation = (body: Uint8Array) => Uint8Array;

function at(body: Uint8Array, place: number): number {
  return Math.floor(place * body.length);
}

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.nat(255)).map(
    ([where, byte]): Mutation =>
      (body) =>
        body.with(at(body, where), byte),
  ),
  place.map(
    (where): Mutation =>
      (body) =>
        body.subarray(0, at(body, where)),
  ),
  place.map(
    (where): Mutation =>
      (body) =>
        body.subarray(at(body, where)),
  ),
  fc.tuple(place, fc.uint8Array({ maxLength: 8 })).map(([where, bytes]): Mutation => (body) => {
    const cut = at(body, where);
    return new Uint8Array([...body.subarray(0, cut), ...bytes, ...body.subarray(cut)]);
  }),
  fc.tuple(place, place).map(([a, b]): Mutation => (body) => {
    const [from, to] = [at(body, a), at(body, b)].toSorted((x, y) => x - y);
    return new Uint8Array([...body.subarray(0, to), ...body.subarray(from)]);
  }),
  // Counts and lengths at their edges.
  fc
    .tuple(place, fc.constantFrom("ff", "ffff", "7fff", "8000", "ffffffff", "fffffffe", "7fffffff", "80000000"))
    .map(([where, hex]): Mutation => (body) => {
      const changed = body.slice();
      const bytes = Uint8Array.fromHex(hex);
      const start = at(body, where);
      changed.set(bytes.subarray(0, body.length - start), start);
      return changed;
    }),
);

describe("arbitrary bytes", () => {
  for (const kind of Object.keys(CODECS)) {
    test(kind, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (body) => expectSound(kind, body)),
        { numRuns: RUNS },
      );
    });
  }

  test("the heads of long messages", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (prefix) => {
        for (const decode of [decodeBindHead, decodeFunctionCallHead]) {
          const decoded = decodeOrRefuse(decode, prefix);
          if (prefix.length >= BIND_HEAD_BYTES_MAX) expect(decoded?.value).not.toBeNull();
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe("mutated captures", () => {
  for (const kind of Object.keys(CODECS)) {
    test(kind, () => {
      const bodies = captured.filter((message) => message.kind === kind).map(({ body }) => body);
      expect(bodies.length).toBeGreaterThan(0);
      fc.assert(
        fc.property(
          fc.constantFrom(...bodies),
          fc.array(mutation, { minLength: 1, maxLength: 4 }),
          (body, mutations) => {
            expectSound(
              kind,
              mutations.reduce((changed, mutate) => (changed.length === 0 ? changed : mutate(changed)), body),
            );
          },
        ),
        { numRuns: RUNS },
      );
    });
  }
});

test("a body of one kind that is taken for another", () => {
  for (const { body } of captured) for (const kind of Object.keys(CODECS)) expectSound(kind, body);
});

describe("a count of things that are not there is refused before room is made for them", () => {
  const bodies: Readonly<Record<string, string>> = {
    "client parse": "0000ffff",
    "client bind": "0000ffff",
    "client functionCall": "00000001ffff",
    "server rowDescription": "ffff",
    "server parameterDescription": "ffff",
    "server dataRow": "ffff",
    "server copyIn": "00ffff",
    "server negotiateProtocolVersion": "00030000ffffffff",
    "server functionCallResponse": "7fffffff",
  };
  for (const [kind, hex] of Object.entries(bodies)) {
    test(kind, () => {
      let code = "none";
      const made = countArrays(() => {
        try {
          CODECS[kind]?.decode(Uint8Array.fromHex(hex));
        } catch (error) {
          code = error instanceof WireError ? error.code : String(error);
        }
      });
      expect(code).toBe("WIRE_SHORT");
      expect(made).toBe(0);
    });
  }
});

/** How many arrays `run` makes with Array.from, which is how the decoders make room for a counted list. */
function countArrays(run: () => void): number {
  const original = Array.from;
  let made = 0;
  Array.from = ((...parameters: Parameters<typeof Array.from>) => {
    made++;
    return original(...parameters);
  }) as typeof Array.from;
  try {
    run();
  } finally {
    Array.from = original;
  }
  return made;
}
