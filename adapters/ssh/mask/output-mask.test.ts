/** Masks over streamed output: whatever the packets, the same secrets are found, and nothing else changes. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ContentMask } from "../../../src/core/content.ts";
import type { MaskTransform } from "../../../src/core/obligation.ts";
import { contentMask } from "../../../test/detectors/masks.ts";
import { maskOver } from "./output-mask.ts";
import { KEY_BYTES_MAX, LINE_BYTES_MAX, MaskedStream } from "./masked-stream.ts";

const CARD = "4111111111111111";
const BEGIN = "-----BEGIN RSA PRIVATE KEY-----";
const END = "-----END RSA PRIVATE KEY-----";
const KEY = `${BEGIN}\nMIIEpAIBAAKCAQEA\nq83vASNFZ4k=\n${END}`;
const CLASSIFIERS: readonly string[] = ["card-number", "email", "private-key", "jwt", "cloud-key"];
const REDACT: MaskTransform = { with: "redact" };

function maskOf({
  classifiers = CLASSIFIERS,
  patterns = [],
  transform = REDACT,
}: { classifiers?: readonly string[]; patterns?: readonly string[]; transform?: MaskTransform } = {}): ContentMask {
  const all = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, transform]));
  return contentMask(all(classifiers), all(patterns));
}

const MASK = maskOf();

/** What comes out, byte for byte, when the bytes come in pieces of these sizes over and over. */
function through(mask: ContentMask, bytes: Uint8Array | string, sizes: readonly number[] = [Infinity]): string {
  const all = Buffer.from(bytes);
  const stream = new MaskedStream(mask, false);
  const out: Uint8Array[] = [];
  let at = 0;
  for (let turn = 0; at < all.length; turn++) {
    const next = Math.min(all.length, at + (sizes[turn % sizes.length] ?? 1));
    out.push(Uint8Array.from(stream.take(Uint8Array.from(all.subarray(at, next)))));
    at = next;
  }
  out.push(stream.flush());
  return Buffer.concat(out).toString("latin1");
}

/** The same said in another way: all of the text at hand, by regular expressions. For texts without escape sequences. */
function oracle(mask: ContentMask, bytes: Uint8Array): string {
  const masked = (text: string): string => {
    const line = Buffer.from(text, "latin1");
    if (line.length === 0) return "";
    if (line.length > LINE_BYTES_MAX) return "***";
    const said = mask.mask(line, 0, line.length, "text");
    return said === null ? text : said === "absent" ? "" : Buffer.from(said).toString("latin1");
  };
  const opens = (text: string): boolean =>
    /-----BEGIN (?=[A-Za-z0-9_ ]{1,64}-----)[A-Za-z0-9_ ]*PRIVATE KEY[A-Za-z0-9_ ]*-----(?![^]*-----END [A-Za-z0-9_ ]{0,64}-----)/.test(
      text,
    );
  let out = "";
  let held = "";
  for (const line of Buffer.from(bytes)
    .toString("latin1")
    .match(/[^\r\n]*[\r\n]|[^\r\n]+$/g) ?? []) {
    held += line;
    if (opens(held) && held.length <= KEY_BYTES_MAX) continue;
    const end = /[\r\n]$/.test(held) ? held.slice(-1) : "";
    out += masked(held.slice(0, held.length - end.length)) + end;
    held = "";
  }
  const end = /[\r\n]$/.test(held) ? held.slice(-1) : "";
  return out + masked(held.slice(0, held.length - end.length)) + end;
}

const plain = fc.oneof(
  fc.constantFrom(CARD, "4111 1111 1111 1111", "ann@example.org", KEY, BEGIN, END, "AKIAIOSFODNN7EXAMPLE"),
  fc.constantFrom("\n", "\n", "\r\n", "\r", " ", "-", "\u0000", "é", '{"a":"', '"}', "\\u0034111"),
  fc.string({ maxLength: 8 }),
  fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);
const coloured = fc.oneof(
  plain,
  fc.constantFrom("\u001b[31m", "\u001b[0m", "\u001b[K", "\u001b]0;", "\u0007", "\u001b"),
);
const textOf = (parts: readonly string[]): Buffer => Buffer.from(parts.join(""), "latin1");
const output = fc.array(plain, { maxLength: 30 }).map(textOf);
const screen = fc.array(coloured, { maxLength: 30 }).map(textOf);
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 });

describe("without a terminal", () => {
  test("however the bytes are split, it is what the whole text comes to", () => {
    fc.assert(
      fc.property(output, sizes, (bytes, pieces) => {
        const withoutEscapes = Buffer.from(bytes.filter((byte) => byte !== 0x1b));
        expect(through(MASK, withoutEscapes, pieces)).toBe(oracle(MASK, withoutEscapes));
      }),
      { numRuns: 1000 },
    );
  });

  test("however the bytes are split, the output is the same, with escape sequences and author patterns too", () => {
    const masks = [MASK, maskOf({ patterns: ["a+b", "^.*x$"] }), maskOf({ transform: { with: "null" } })];
    fc.assert(
      fc.property(screen, sizes, fc.constantFrom(...masks), (bytes, pieces, mask) => {
        expect(through(mask, bytes, pieces)).toBe(through(mask, bytes));
      }),
      { numRuns: 1000 },
    );
  });

  test("a secret is found at every border of packets, wherever it stands in its line", () => {
    for (const secret of [CARD, "ann@example.org", KEY, "AKIAIOSFODNN7EXAMPLE"]) {
      for (const [before, after] of [
        ["", ""],
        ["first\nthe ", " x\nlast"],
        ["\r\n(", ")\r\n"],
        ["\u0000\u0000", "\u0000\n"],
      ] as const) {
        const bytes = Buffer.from(`${before}${secret}${after}`);
        for (let border = 1; border < bytes.length; border++) {
          expect(through(MASK, bytes, [border, bytes.length])).toBe(`${before}***${after}`);
        }
        expect(through(MASK, bytes, [1])).toBe(`${before}***${after}`);
      }
    }
  });

  test("what has nothing to be masked is passed as it came, without a copy", () => {
    const stream = new MaskedStream(MASK, false);
    const bytes = Buffer.from("one\ntwo\r\nthree\n");
    const shown = stream.take(bytes);
    expect(shown.buffer).toBe(bytes.buffer);
    expect(Buffer.from(shown).toString()).toBe("one\ntwo\r\nthree\n");
    expect(stream.flush().length).toBe(0);
  });

  test("a line that is not complete waits, and lines before it do not", () => {
    const stream = new MaskedStream(MASK, false);
    const take = (text: string): string => Buffer.from(stream.take(Buffer.from(text))).toString();
    expect([take("one\ntw"), take("o"), take("\nthr"), take("\r"), take("\n")]).toEqual([
      "one\n",
      "",
      "two\n",
      "thr\r",
      "\n",
    ]);
    expect(take("Password: ")).toBe("");
    expect(Buffer.from(stream.flush()).toString()).toBe("Password: ");
  });

  test("what was handed over may be used again for the next packet", () => {
    const stream = new MaskedStream(MASK, false);
    const packet = Buffer.from("4111111111");
    stream.take(packet);
    packet.fill("x");
    expect(Buffer.from(stream.take(Buffer.from("111111\n"))).toString()).toBe("***\n");
  });
});

describe("a long line", () => {
  test("of the most bytes is masked, and one of more is redacted whole, also where it holds nothing", () => {
    for (const pieces of [[Infinity], [300_001], [LINE_BYTES_MAX + 1]]) {
      const line = (length: number): string => `${"x".repeat(length - CARD.length - 1)} ${CARD}`;
      const most = line(LINE_BYTES_MAX);
      expect(through(MASK, `${most}\nnext\n`, pieces)).toBe(`${most.slice(0, -CARD.length)}***\nnext\n`);
      expect(through(MASK, `a\n${line(LINE_BYTES_MAX + 1)}\nnext\n`, pieces)).toBe("a\n***\nnext\n");
      expect(through(MASK, "y".repeat(3 * LINE_BYTES_MAX), pieces)).toBe("***");
      expect(through(MASK, `${"y".repeat(3 * LINE_BYTES_MAX)}\r\n${CARD}\n`, pieces)).toBe("***\r\n***\n");
    }
  });

  test("takes no more memory than it may", () => {
    const stream = new MaskedStream(MASK, false);
    const packet = Buffer.alloc(65_536, "z");
    let shown = 0;
    for (let count = 0; count < 64; count++) shown += stream.take(packet).length;
    expect(shown).toBe("***".length);
  });
});

describe("a private key", () => {
  test("in lines is one thing, whatever ends them, and what stands around it stays", () => {
    expect(through(MASK, `a ${KEY} b\nc`)).toBe("a *** b\nc");
    expect(through(MASK, `a\r\n${KEY.replaceAll("\n", "\r\n")}\r\nc\r\n`)).toBe("a\r\n***\r\nc\r\n");
    expect(through(MASK, `${KEY}\n${KEY}\nc\n`)).toBe("***\n***\nc\n");
    expect(through(MASK, `${BEGIN}\nAAAA\n${END} ${BEGIN}\nBBBB\n${END}\nc\n`)).toBe("*** ***\nc\n");
  });

  test("is told from other blocks, and from its end", () => {
    const certificate = KEY.replaceAll("RSA PRIVATE KEY", "CERTIFICATE");
    expect(through(MASK, `${certificate}\n${END}\n${BEGIN.slice(0, -2)}\nc\n`)).toBe(
      `${certificate}\n${END}\n${BEGIN.slice(0, -2)}\nc\n`,
    );
  });

  test("whose end is missing hides what follows it, so far as a key may be", () => {
    expect(through(MASK, `a\n${BEGIN}\nAAAA\nBBBB\n`)).toBe("a\n***\n");
    const line = `${"A".repeat(1023)}\n`;
    const rest = `${"B".repeat(KEY_BYTES_MAX - BEGIN.length - 2 - 63 * line.length)}\n`;
    const most = `${BEGIN}\n${line.repeat(63)}${rest}`;
    expect(most.length).toBe(KEY_BYTES_MAX);
    expect(through(MASK, `${most}AAAA\n${line}${CARD}\n`)).toBe(`***\n${line}***\n`);
    expect(through(MASK, `${most.slice(0, -2)}\nAAAA\n${line}${CARD}\n`)).toBe(`***\n${line}***\n`);
    expect(through(MASK, `${most}${END}\n${CARD}\n`)).toBe("***\n***\n");
  });

  test("ends with a line that is too long for it", () => {
    const long = "B".repeat(LINE_BYTES_MAX + 1);
    for (const pieces of [[Infinity], [1000], [LINE_BYTES_MAX]]) {
      expect(through(MASK, `${BEGIN}\nAAAA\n${long}\nnext\n`, pieces)).toBe("***\nnext\n");
    }
    const text = `${BEGIN}\nAAAA\n${long}\n`;
    expect(through(MASK, `${text}a ${CARD}\nb\n`, [text.length, 5, 3, 100])).toBe("***\na ***\nb\n");
  });

  test("is nothing to a mask that is not about keys", () => {
    expect(through(maskOf({ classifiers: ["email"] }), `${KEY}\na@b.example\n`)).toBe(`${KEY}\n***\n`);
  });

  test("costs no more in lines that look like its end over and over", () => {
    const line = "-----END \n";
    const text = `${BEGIN}\n${line.repeat(6000)}${END}\nc\n`;
    expect(through(MASK, text)).toBe("***\nc\n");
  });
});

describe("escape sequences", () => {
  test("around a secret are no part of it, and stay", () => {
    expect(through(MASK, `a \u001b[01;31m\u001b[K${CARD}\u001b[m\u001b[K b\n`)).toBe(
      "a \u001b[01;31m\u001b[K***\u001b[m\u001b[K b\n",
    );
    expect(through(MASK, `\u001b[1mann@example.org\u001b[0m\n`)).toBe("\u001b[1m***\u001b[0m\n");
  });

  test("of colours within a secret do not hide it, and go with it", () => {
    expect(through(MASK, `a \u001b[32m41111111\u001b[31m11111111\u001b[0m b\n`)).toBe("a *** b\n");
  });

  test("that move the cursor part what they stand between", () => {
    const text = "12\u001b[3;5H345678901\u001b[10C2345678\n";
    expect(through(maskOf({ classifiers: ["card-number", "national-id"] }), text)).toBe(text);
    const groups = "4111\u001b[5C1111\u001b[5C1111\u001b[5C1111 ";
    expect(through(MASK, groups)).toBe(groups);
    expect(through(MASK, `${groups}\u001b[32m41111111\u001b[31m11111111\u001b[0m b\n`)).toBe(
      "4111111111111111 *** b\n",
    );
  });

  test("hold texts and numbers that are looked at", () => {
    expect(through(MASK, `\u001b]0;of ann@example.org\u0007x\n`)).toBe("\u001b]0;of ***\u0007x\n");
    expect(through(MASK, `\u001b]ann@example.org\u0007x\n`)).toBe("\u001b]***\u0007x\n");
    expect(through(MASK, `\u001b[${CARD};1mx\n`)).toBe("\u001b[***;1mx\n");
    expect(through(MASK, `\u001b[1;2${"0".repeat(80)} ${CARD}\n`)).not.toContain(CARD);
  });

  test("that are not complete, at the end of a line or of all, stay", () => {
    for (const text of ["a\u001b\n", "a\u001b[\n", "a\u001b[31", "\u001b", "\u001b[3\u0001m\n"]) {
      expect(through(MASK, text, [1])).toBe(text);
    }
  });
});

describe("what no text is", () => {
  test("passes where detectors find nothing in it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), sizes, (bytes, pieces) => {
        const mask = maskOf({ classifiers: ["private-key"] });
        expect(through(mask, bytes, pieces)).toBe(Buffer.from(bytes).toString("latin1"));
      }),
    );
    expect(through(MASK, Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x0a]))).toBe("\u00ff\u00fe\u0000\u0080\n");
  });

  test("is redacted line by line where an author's pattern would have to read it", () => {
    const bytes = Buffer.from([0x61, 0x0a, 0xff, 0x0a, 0x62, 0x0a]);
    expect(through(maskOf({ patterns: ["secret"] }), bytes)).toBe("a\n***\nb\n");
  });
});

test("author patterns see one line, without its end", () => {
  const mask = maskOf({ classifiers: [], patterns: ["^pass.*$"] });
  expect(through(mask, "pass one\r\nno pass\npass two")).toBe("***\r\nno pass\n***");
});

test("transforms are those of the mask; a line that is to be null is empty", () => {
  const text = `card ${CARD} x\nnext\n`;
  expect(through(maskOf({ transform: { with: "null" } }), text)).toBe("\nnext\n");
  const partial = maskOf({ transform: { with: "partial", keepFirst: 0, keepLast: 4 } });
  expect(through(partial, text)).toMatch(/^card [^0-9]*1111 x\nnext\n$/);
});

test("a mask of which something is not known redacts every line, and keeps their ends", () => {
  const unknown = maskOf({ classifiers: ["nonsense"] });
  expect(through(unknown, "a\n\nb\r\nc")).toBe("***\n\n***\r\n***");
});

describe("a terminal", () => {
  /** What is seen when these come with a pause behind each. */
  function seen(mask: ContentMask, ...parts: readonly (string | Uint8Array)[]): string[] {
    const stream = new MaskedStream(mask, true);
    return parts.map((part) => {
      const shown = Buffer.from(stream.take(Buffer.from(part))).toString("latin1");
      return shown + Buffer.from(stream.flush()).toString("latin1");
    });
  }

  test("shows prompts and what is typed, each once", () => {
    expect(seen(MASK, "$ ", "l", "s", "\r\n", "file\r\n$ ")).toEqual(["$ ", "l", "s", "\r\n", "file\r\n$ "]);
  });

  test("nothing is seen twice or lost, however it comes, where nothing is masked", () => {
    const mask = maskOf({ classifiers: ["private-key"] });
    const parts = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 60 });
    fc.assert(
      fc.property(parts, fc.array(fc.boolean(), { minLength: 1 }), (pieces, pauses) => {
        const stream = new MaskedStream(mask, true);
        const out = pieces.flatMap((piece, index) => [
          Buffer.from(stream.take(piece)),
          ...(pauses[index % pauses.length] === true ? [Buffer.from(stream.flush())] : []),
        ]);
        // Once for what is held, once for a character that never comes.
        out.push(Buffer.from(stream.flush()), Buffer.from(stream.flush()));
        expect(Buffer.concat(out).toString("latin1")).toBe(Buffer.concat(pieces).toString("latin1"));
      }),
      { numRuns: 500 },
    );
  });

  test("a secret that comes in one go is not seen, with a line's end or without", () => {
    expect(seen(MASK, `$ echo ${CARD}`, `\r\n${CARD}\r\n$ `)).toEqual(["$ echo ***", "\r\n***\r\n$ "]);
  });

  test("of a secret with a pause in it, what came before is seen, and the rest is not", () => {
    expect(seen(MASK, "a 411111111111", "1111 b\r\n")).toEqual(["a 411111111111", "*** b\r\n"]);
    expect(seen(MASK, "a 411111111111", "1111", " b\r\n")).toEqual(["a 411111111111", "***", " b\r\n"]);
    const pattern = maskOf({ classifiers: [], patterns: ["password: \\S+"] });
    expect(seen(pattern, "password: ", "tiger", "\r\n")).toEqual(["password: ", "***", "\r\n"]);
  });

  test("a character that is torn waits for its other half, and an author's pattern is not put off by it", () => {
    const pattern = maskOf({ classifiers: [], patterns: ["zz"] });
    const bytes = Buffer.from("a😀b");
    for (let border = 1; border < bytes.length; border++) {
      const halves = [bytes.subarray(0, border), bytes.subarray(border)] as const;
      expect(seen(pattern, ...halves).join("")).toBe(bytes.toString("latin1"));
      const later = seen(pattern, "a longer line before it", "\r\n", ...halves);
      expect(later.slice(2).join("")).toBe(bytes.toString("latin1"));
    }
  });

  test("a private key that comes with a pause is hidden up to it", () => {
    const stream = new MaskedStream(MASK, true);
    const take = (text: string): string => Buffer.from(stream.take(Buffer.from(text))).toString();
    expect(take(`${BEGIN}\r\nAAAA\r\n`)).toBe("");
    expect(stream.isInKey).toBe(true);
    expect(Buffer.from(stream.flush()).toString()).toBe("***\n");
    expect(stream.isInKey).toBe(false);
    expect(take("$ ls\r\n")).toBe("$ ls\r\n");
    expect(seen(MASK, `${KEY.replaceAll("\n", "\r\n")}\r\n$ `)).toEqual(["***\r\n$ "]);
  });

  test("of a line that has no end the last part is remembered, and it is never redacted whole", () => {
    const stream = new MaskedStream(MASK, true);
    let shown = "";
    const packet = `${"x".repeat(99)} `;
    for (let count = 0; count < 20_000; count++) {
      shown += Buffer.from(stream.take(Buffer.from(packet))).toString();
      if (count % 3 === 0) shown += Buffer.from(stream.flush()).toString();
    }
    expect(shown + Buffer.from(stream.flush()).toString()).toBe(packet.repeat(20_000));
    expect(stream.take(Buffer.alloc(KEY_BYTES_MAX + 1, "y")).length).toBe(KEY_BYTES_MAX + 1);
    stream.take(Buffer.from(" 41111111"));
    stream.flush();
    expect(Buffer.from(stream.take(Buffer.from("11111111\n"))).toString()).toBe("***\n");
  });
});

describe("the mask of an operation", () => {
  test("keeps stdout and stderr apart", () => {
    const mask = maskOver(MASK, false);
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
    expect(text(mask.take(Buffer.from("41111111"), false))).toBe("");
    expect(text(mask.take(Buffer.from("11111111\n"), true))).toBe("11111111\n");
    expect(text(mask.take(Buffer.from("11111111\n"), false))).toBe("***\n");
    mask.take(Buffer.from("a"), true);
    expect([text(mask.flush(false)), text(mask.flush(true))]).toEqual(["", "a"]);
  });

  test("shows what is held after a pause in a terminal only, and parts of a key after a longer one", () => {
    expect(maskOver(MASK, false).flushAfterMs).toBeNull();
    const terminal = maskOver(MASK, true);
    expect(terminal.flushAfterMs).toBe(10);
    terminal.take(Buffer.from(`${BEGIN}\n`), false);
    expect(terminal.flushAfterMs).toBe(500);
    terminal.flush(false);
    expect(terminal.flushAfterMs).toBe(10);
    terminal.take(Buffer.from(`${BEGIN}\n`), true);
    expect(terminal.flushAfterMs).toBe(500);
  });
});
