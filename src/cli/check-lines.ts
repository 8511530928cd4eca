/** How the lines of a masking self-check are shown. */
import type { CheckLine } from "../../adapters/postgres/prepare/check-line.ts";
import { printable } from "./audit-lines.ts";
import type { Terminal } from "./command.ts";

/** One line each; what is not as it must be with what to do. True when all is. */
export function showLines(
  lines: readonly CheckLine[],
  terminal: Terminal,
  { all }: { readonly all: boolean },
): boolean {
  for (const { ok, text, hint } of lines) {
    if (ok && !all) continue;
    terminal.out(printable(ok ? `ok    ${text}` : `FAIL  ${text}. ${hint}`));
  }
  return lines.every(({ ok }) => ok);
}

/** As `--json` prints it. */
export function jsonLine({ about, ok, text, hint, isVital }: CheckLine): object {
  return { about, ok, text, hint, vital: isVital };
}
