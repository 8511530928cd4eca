/** Refusals as SSH clients see them: lines on stderr and exit status 126, or the words of a failure or a disconnect. */
import type { Refusal } from "../../src/core/decision.ts";
import type { PendingApproval } from "../../src/core/ports.ts";
import type { ClientChannel } from "./channels.ts";

/** What shells answer for a command that was found and may not be run. */
export const REFUSED_STATUS = 126;

const utf8 = new TextEncoder();

/** In one line: for channel failures, disconnects and SFTP's status. */
export function refusalLine({ message, rules, event }: Refusal): string {
  const because = [
    ...(rules.length > 0 ? [`rules ${rules.join(", ")}`] : []),
    ...(event === "" ? [] : [`id ${event}`]),
  ];
  return because.length === 0 ? `weir: ${message}` : `weir: ${message} (${because.join("; ")})`;
}

/** For stderr; a terminal wants its cursor back at the left. */
export function refusalText(no: Refusal, hasPty: boolean): Uint8Array {
  const lines = no.hint === "" ? [refusalLine(no)] : [refusalLine(no), `weir: ${no.hint}`];
  return stderrLines(lines, hasPty);
}

/** For stderr of something that goes on without what was refused. */
export function noteText(no: Refusal, hasPty: boolean): Uint8Array {
  return stderrLines([refusalLine(no)], hasPty);
}

/** What is said while people are asked. */
export function pendingText({ operation, where }: PendingApproval, hasPty: boolean): Uint8Array {
  return stderrLines([`weir: this waits for an approval: ${where} (id ${operation})`], hasPty);
}

/** Ends a channel with a refusal. */
export function sayNo(channel: ClientChannel, no: Refusal, hasPty: boolean): void {
  channel.write(refusalText(no, hasPty), true);
  channel.exit({ kind: "status", status: REFUSED_STATUS });
  channel.eof();
  channel.close();
}

function stderrLines(lines: readonly string[], hasPty: boolean): Uint8Array {
  const end = hasPty ? "\r\n" : "\n";
  return utf8.encode(lines.map((line) => withoutControls(line) + end).join(""));
}

/** Names that a client chose are in messages: nothing in them moves the cursor of whoever reads. */
function withoutControls(line: string): string {
  return Array.from(line, (char) => (char < " " || (char >= "\u007f" && char < "\u00a0") ? "\ufffd" : char)).join("");
}
