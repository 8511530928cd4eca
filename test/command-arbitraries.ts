/** Random commands: words that need quoting, and texts that are changed as an attacker would change them. */
import fc from "fast-check";

/** Programs that are nothing but names. */
export const PROGRAM_NAMES = ["p1", "p2", "p3", "ls", "cat", "grep", "systemctl", "reboot"] as const;

/** What shells give a meaning to, and what is near it. */
const PIECES = [
  ...Array.from(" \t\n'\"\\$`*?[]{}()<>|&;#~!=^%-+,.:/@_0aZé"),
  "\\\n",
  "$(",
  "${",
  "$((",
  "$'",
  '$"',
  "<<",
  "<<<",
  "<(",
  ">&",
  "&>",
  ">>",
  ">|",
  "<>",
  "|&",
  "||",
  "&&",
  ";;",
  "[[",
  "]]",
  "{a,b}",
  "{1..3}",
  "~+",
  "~root",
  "!!",
  "-c",
  "--",
  "if ",
  "then ",
  "fi",
  "for ",
  "do ",
  "done",
  "case ",
  "esac",
  "while ",
  "time ",
  "! ",
  "{ ",
  " }",
  "function ",
  "coproc ",
  "select ",
  "repeat ",
  "nocorrect ",
  "noglob ",
  "exec ",
  "eval ",
  "command ",
  "builtin ",
  ". ",
  "p1",
  "p2",
  " p3 ",
  "reboot",
  "a=b",
  "IFS=x",
  "2>",
  "1>&2",
  "\u00a0",
  "\u2028",
  "\u200b",
  "ｐ",
  "\r",
  "\0",
  "\u001b",
  "\ud83d\ude00",
];

export const hostileWord: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...PIECES.filter((piece) => !piece.includes("\0") && !/[\p{C}\p{Z}]/u.test(piece.trim()))), {
    maxLength: 6,
  })
  .map((pieces) => pieces.join("").replaceAll(/[\n\t]/gu, ""));

/** A command that may or may not be read. */
export const hostileText: fc.Arbitrary<string> = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 14 })
  .map((pieces) => pieces.join(""));

/** Takes a piece out of a text, puts one in, or doubles one. `random` answers with a number from 0 to below its argument. */
export function mutated(text: string, random: (below: number) => number): string {
  let result = text;
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(result.length + 1);
    const length = random(Math.min(6, result.length - at + 1));
    const piece = PIECES[random(PIECES.length)] ?? "";
    switch (random(4)) {
      case 0:
        result = result.slice(0, at) + result.slice(at + length);
        break;
      case 1:
        result = result.slice(0, at) + result.slice(at, at + length) + result.slice(at);
        break;
      default:
        result = result.slice(0, at) + piece + result.slice(at);
    }
  }
  return result;
}
