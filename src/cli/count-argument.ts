/** Counts as arguments: how many lines, how many results. */
import { UsageError } from "./command.ts";
import type { Arguments } from "./command.ts";

/** A whole number from 1 to a limit; the usual one when it was left out. Throws UsageError. */
export function readCount(args: Arguments, name: string, usual: number, max: number): number {
  const text = args.text(name);
  if (text === undefined) return usual;
  let isNumber = text.length <= 9;
  for (const char of text) if (char < "0" || char > "9") isNumber = false;
  const count = Number(text);
  if (!isNumber || count < 1 || count > max)
    throw new UsageError(`--${name} is a number from 1 to ${max}, not ${text}`);
  return count;
}
