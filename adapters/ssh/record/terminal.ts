/** The recording of one terminal: what its user saw, in the clear; what was typed, and what masks hid, sealed. */
import type { RecordKind } from "../../../src/core/obligation.ts";
import type { Clock, Door, Outcome, Permit } from "../../../src/core/ports.ts";
import type { Recording, RecordingStream, TerminalLine } from "../../../src/core/recording.ts";
import type { PtyRequest, TerminalSize } from "../channels.ts";
import type { ChannelRecord } from "./channel-record.ts";

/** What a player gets where the client says nothing that can be shown. */
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;
/** No screen is larger; players reserve memory for it. */
const SIDE_MAX = 10_000;
const TYPE_UNITS_MAX = 256;

/**
 * Null: policy does not oblige to record it. `command`: what runs in the terminal; null: a login shell. Throws
 * RecordingFailed when there is no recording: then nothing may start.
 */
export function recordTerminal(
  door: Pick<Door, "recording">,
  permit: Permit,
  clock: Clock,
  pty: PtyRequest,
  command: string | null,
): ChannelRecord | null {
  const recording = door.recording(permit);
  if (recording === null) return null;
  const mustGoOn = (): unknown => door.recording(permit);
  return new TerminalRecord(recording, mustGoOn, permit.obligations.record ?? [], clock, pty, command);
}

class TerminalRecord implements ChannelRecord {
  readonly #recording: Recording;
  /** Throws RecordingFailed when nothing may go on: also what is not kept passes only while all else is. */
  readonly #mustGoOn: () => void;
  readonly #clock: Clock;
  readonly #keepsInput: boolean;
  readonly #keepsOutput: boolean;
  readonly #keepsRaw: boolean;
  readonly #typed = new Characters();
  readonly #seen = new Characters();
  readonly #raw = new Characters();
  #forget: () => void = () => {};
  #forgetStall: () => void = () => {};
  #hasEnded = false;

  constructor(
    recording: Recording,
    mustGoOn: () => void,
    kinds: readonly RecordKind[],
    clock: Clock,
    pty: PtyRequest,
    command: string | null,
  ) {
    this.#recording = recording;
    this.#mustGoOn = mustGoOn;
    this.#clock = clock;
    this.#keepsInput = kinds.includes("input");
    this.#keepsOutput = kinds.includes("output");
    this.#keepsRaw = kinds.includes("raw");
    const header: TerminalLine = {
      kind: "terminal",
      atMs: clock.now(),
      columns: side(pty.columns, COLUMNS_DEFAULT),
      rows: side(pty.rows, ROWS_DEFAULT),
      ...(pty.type === "" ? {} : { type: pty.type.slice(0, TYPE_UNITS_MAX).toWellFormed() }),
      ...(command === null || !this.#keepsInput ? {} : { command }),
    };
    for (const stream of this.#streams) recording.write(stream, header);
  }

  unmasked(bytes: Uint8Array, _isStderr: boolean): boolean {
    this.#mustGoOn();
    return !this.#keepsRaw || this.#event("sealed", "o", this.#raw.take(bytes));
  }

  output(bytes: Uint8Array, _isStderr: boolean): boolean {
    this.#mustGoOn();
    return !this.#keepsOutput || this.#event("clear", "o", this.#seen.take(bytes));
  }

  input(bytes: Uint8Array): boolean {
    this.#mustGoOn();
    return !this.#keepsInput || this.#event("sealed", "i", this.#typed.take(bytes));
  }

  resize({ columns, rows }: TerminalSize): void {
    const size = `${side(columns, COLUMNS_DEFAULT)}x${side(rows, ROWS_DEFAULT)}`;
    for (const stream of this.#streams) this.#event(stream, "r", size);
  }

  end(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#forget();
    this.#forgetStall();
    if (this.#keepsRaw) this.#event("sealed", "o", this.#raw.rest());
    if (this.#keepsOutput) this.#event("clear", "o", this.#seen.rest());
    if (this.#keepsInput) this.#event("sealed", "i", this.#typed.rest());
    const { status, code } = outcome;
    for (const stream of this.#streams) {
      if (code !== undefined && isStatus(code)) this.#event(stream, "x", code);
      else this.#event(stream, "m", code === undefined ? status : `${status}: ${code}`);
    }
  }

  onStall(callback: () => void): void {
    this.#forgetStall();
    this.#forgetStall = this.#recording.onStall(callback);
  }

  onDrain(callback: () => void): void {
    this.#forget();
    this.#forget = this.#recording.onDrain(callback);
  }

  /** The clear one always says that there was a terminal, and how it ended. */
  get #streams(): readonly RecordingStream[] {
    return this.#keepsInput || this.#keepsRaw ? ["clear", "sealed"] : ["clear"];
  }

  #event(stream: RecordingStream, code: "o" | "i" | "r" | "m" | "x", data: string): boolean {
    if (data === "") return true;
    return this.#recording.write(stream, { kind: "event", atMs: this.#clock.now(), code, data });
  }
}

/** Text out of bytes, whose characters may be split between pieces; what is no UTF-8 becomes U+FFFD. */
class Characters {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  take(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** The beginning of a character whose end did not come. */
  rest(): string {
    return this.#decoder.decode();
  }
}

/** Zero is what clients send when they do not know (RFC 4254, section 6.2). */
function side(cells: number, otherwise: number): number {
  return cells === 0 ? otherwise : Math.min(cells, SIDE_MAX);
}

/** An exit status, as opposed to the name of a signal. */
function isStatus(code: string): boolean {
  return code.length > 0 && code.length <= 10 && Array.from(code).every((digit) => digit >= "0" && digit <= "9");
}
