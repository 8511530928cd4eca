/** What of a recorded terminal reaches the terminal of who replays it. */
import { describe, expect, test } from "bun:test";
import { CastShower } from "./recording-lines.ts";
import { ScreenFilter } from "./screen-filter.ts";

const ESC = "\u001b";

function passed(...pieces: string[]): string {
  const filter = new ScreenFilter();
  return pieces.map((each) => filter.pass(each)).join("");
}

/** What an editor and a coloured listing write. */
const SCREEN = [
  `${ESC}[?1049h${ESC}[22;1H${ESC}[1;24r${ESC}[?25l${ESC}[2J${ESC}[H`,
  `${ESC}(B${ESC}[m${ESC}[01;32mann@db${ESC}[00m:${ESC}[38;5;12m~${ESC}[39m$ ls\r\n`,
  `a\tb\b \u0007${ESC}[38;2;1;2;3mé 漢 😀${ESC}[4:3m~${ESC}[0m${ESC}[K\r`,
  `${ESC})0\u000elqqk\u000f${ESC}[3L${ESC}[2M${ESC}[4P${ESC}[5@${ESC}[6X${ESC}[2S${ESC}[T`,
  `${ESC}7${ESC}[10;20f${ESC}8${ESC}M${ESC}D${ESC}E${ESC}=${ESC}>${ESC}[?1h${ESC}[?1;25h${ESC}[4h${ESC}[4l${ESC}[2 q`,
  `${ESC}[!p${ESC}c${ESC}#8${ESC}[5d${ESC}[7G${ESC}[?7l${ESC}[s${ESC}[u${ESC}[3b${ESC}[g${ESC}[?1049l`,
].join("");

/** By what it would do. */
const HARMFUL: readonly (readonly [string, string])[] = [
  ["OSC 52 sets the clipboard", `${ESC}]52;c;ZXZpbA==\u0007`],
  ["OSC 52 that ends with ST", `${ESC}]52;c;ZXZpbA==${ESC}\\`],
  ["OSC 52 that ends with the one-character ST", `${ESC}]52;c;ZXZpbA==\u009c`],
  ["OSC as one character", "\u009d52;c;ZXZpbA==\u0007"],
  ["OSC that asks for a colour", `${ESC}]11;?\u0007`],
  ["a title", `${ESC}]0;rm -rf ~\u0007`],
  ["a title of screen's", `${ESC}krm -rf ~${ESC}\\`],
  ["DSR", `${ESC}[6n`],
  ["DSR of DEC's", `${ESC}[?6n`],
  ["DSR as one character", "\u009b6n"],
  ["DA", `${ESC}[c`],
  ["DA with a number", `${ESC}[0c`],
  ["secondary DA", `${ESC}[>c`],
  ["tertiary DA", `${ESC}[=c`],
  ["DECID", `${ESC}Z`],
  ["XTVERSION", `${ESC}[>q`],
  ["DECREQTPARM", `${ESC}[x`],
  ["DECRQM", `${ESC}[?2004$p`],
  ["DECRQM of ANSI's", `${ESC}[4$p`],
  ["DECRQCRA", `${ESC}[1;1;1;1;1;1*y`],
  ["DECRQPSR", `${ESC}[1$w`],
  ["the report of the title", `${ESC}[21t`],
  ["the size of the window", `${ESC}[18t`],
  ["DECRQSS", `${ESC}P$qm${ESC}\\`],
  ["XTGETTCAP", `${ESC}P+q544e${ESC}\\`],
  ["DCS as one character", "\u0090$qm\u009c"],
  ["APC", `${ESC}_Gi=31,a=q;AAAA${ESC}\\`],
  ["PM", `${ESC}^x${ESC}\\`],
  ["SOS", `${ESC}Xx${ESC}\\`],
  ["APC, PM and SOS as one character", "\u009fx\u009c\u009ex\u009c\u0098x\u009c"],
  ["ENQ", "\u0005"],
  ["the mouse's reports", `${ESC}[?1000h${ESC}[?1006h`],
  ["the mouse's reports behind a mode of the screen", `${ESC}[?25;1003h`],
  ["reports of the focus", `${ESC}[?1004h`],
  ["a locked keyboard", `${ESC}[2h`],
  ["other keys", `${ESC}[>4;2m`],
  ["kitty's keyboard", `${ESC}[>1u${ESC}[?u`],
  ["printing", `${ESC}[5i${ESC}[?5i`],
  ["eight-bit controls", `${ESC} G`],
  ["another coding", `${ESC}%G`],
  ["a sequence that is far too long", `${ESC}[${"1;".repeat(10_000)}m`],
  ["prefixes in the middle", `${ESC}[1?6n${ESC}[1>c`],
  ["C1 controls that are nothing", "\u0080\u0085\u008d\u009a\u009c"],
  ["DEL and NUL", "\u007f\u0000"],
];

/** Introducers of what was begun, when the next sequence comes. */
const BEGUN = ["", ESC, `${ESC}[`, `${ESC}[?`, `${ESC}[1;`, `${ESC}(`, `${ESC}]`, `${ESC}]0;x`, `${ESC}P`, "\u009b"];

describe("a recorded terminal", () => {
  test("is shown as it was", () => {
    expect(passed(SCREEN)).toBe(SCREEN);
    expect(passed(...Array.from(SCREEN))).toBe(SCREEN);
    expect(passed(...SCREEN.split(""))).toBe(SCREEN);
  });

  test.each(HARMFUL)("%s is dropped, in one piece and in many", (_, sequence) => {
    expect(passed(`a${sequence}b`)).toBe("ab");
    expect(passed(..."a".concat(sequence, "b").split(""))).toBe("ab");
    for (let at = 0; at <= Math.min(sequence.length, 40); at++)
      expect(passed(`a${sequence.slice(0, at)}`, `${sequence.slice(at)}b`)).toBe("ab");
  });

  test("what does not end shows nothing of itself", () => {
    expect(passed(`a${ESC}]52;c;ZXZpbA==`, "more", "and more")).toBe("a");
    expect(passed(`a${ESC}P$qm`, "more")).toBe("a");
    expect(passed(`a${ESC}[6`)).toBe("a");
    expect(passed(`a${ESC}`)).toBe("a");
    expect(passed(`a${ESC}(`)).toBe("a");
  });

  test("a sequence that interrupts another is judged by itself", () => {
    for (const begun of BEGUN) {
      for (const [, sequence] of HARMFUL) {
        const shown = passed(begun + sequence + sequence);
        for (const other of ["]", "P", "_", "^", "X", "Z", "k"]) expect(shown).not.toContain(ESC + other);
        for (const char of shown) expect(char < "\u0080" || char > "\u009f").toBe(true);
      }
    }
    expect(passed(`${ESC}[6${ESC}[1mx`)).toBe(`${ESC}[1mx`);
    expect(passed(`${ESC}]0;x${ESC}[1mx`)).toBe(`${ESC}[1mx`);
    expect(passed(`${ESC}]0;x${ESC}${ESC}]52;c;x\u0007y`)).toBe("y");
    expect(passed(`${ESC}[6\u0018n`)).toBe("n");
    expect(passed(`${ESC}[1\r\nm`)).toBe(`\r\n${ESC}[1m`);
  });

  test("is replayed through this, with what was split between events", () => {
    const shower = new CastShower(true);
    const events = [`${ESC}[1mone${ESC}]52;c;`, `ZXZpbA==\u0007two${ESC}`, "[6nthree"];
    const shown = events.map((data) => shower.show(JSON.stringify([0.5, "o", data])).text);
    expect(shown).toEqual([`${ESC}[1mone`, "two", "three"]);
  });

  test("nothing that was shown can be completed to something else", () => {
    expect(passed(`${ESC}[`, "6\u0005n", ESC, "[", "c")).toBe("");
    expect(passed(`${ESC}\u0000[6n`)).toBe("");
    expect(passed(`${ESC}\u007f[6n`)).not.toContain(ESC);
  });
});
