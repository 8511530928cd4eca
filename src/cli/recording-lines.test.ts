/** Transcripts of commands as an auditor reads them: whole lines, each stream marked, nothing that does anything to a terminal. */
import { expect, test } from "bun:test";
import { encodeTranscriptLine } from "../record/transcript.ts";
import type { TranscriptLine } from "../core/recording.ts";
import { TranscriptShower } from "./recording-lines.ts";

const AT = { operation: "OP", atMs: 0 } as const;
const out = (text: string, more: { stream?: "stdout" | "stderr"; operation?: string } = {}): TranscriptLine => ({
  kind: "output",
  ...AT,
  stream: "stdout",
  text,
  ...more,
});

function shown(...lines: readonly TranscriptLine[]): string[] {
  const shower = new TranscriptShower(0);
  const texts = lines.flatMap((line) => encodeTranscriptLine(line)).map((json) => shower.show(json).text);
  return [...texts, shower.rest()].filter((text) => text !== "").flatMap((text) => text.split("\n"));
}

test("lines come together again from their pieces, each operation and stream for itself", () => {
  const stderr = { stream: "stderr" } as const;
  expect(
    shown(out("one\ntw"), out("oh", stderr), out("other\n", { operation: "P" }), out("o\n"), out(" no\n", stderr)),
  ).toEqual(["    | one", "    | other", "    | two", "    ! oh no"]);
});

test("what has no end of a line is shown before the end of its operation, or at the end of all", () => {
  const end = { kind: "end", ...AT, status: "done", code: "0" } as const;
  expect(shown(out("$ "), out("x", { operation: "P" }), end)).toEqual([
    "    | $ ",
    "00:00:00.000  OP  < done, 0",
    "    | x",
  ]);
});

test("a line that does not end is shown in parts", () => {
  expect(shown(out("x".repeat(4096)), out("y"), out("\n"))).toEqual([`    | ${"x".repeat(4096)}y`, "    | "]);
});

test("bytes that are no text, data that was not kept, and what could draw on a terminal", () => {
  const lines: TranscriptLine[] = [
    { kind: "output", ...AT, stream: "stderr", base64: "/wA=" },
    out("\u001b]0;title\u0007\u001b[2Ja\r\n"),
    { kind: "data", ...AT, of: "stdin", bytes: 3, sha256: "ab" },
  ];
  const texts = shown(...lines);
  expect(texts[0]).toBe("    ! (no text, in base64) /wA=");
  expect(Array.from(texts[1] ?? "\n").every((char) => char >= " ")).toBe(true);
  expect(texts[2]).toBe("00:00:00.000  OP  (stdin: 3 bytes, SHA-256 ab)");
});
