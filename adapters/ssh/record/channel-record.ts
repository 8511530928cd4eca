/** What a channel's relay tells the recording of its operation. */
import type { Outcome } from "../../../src/core/ports.ts";
import type { TerminalSize } from "../channels.ts";

/**
 * Each method that answers, answers false when so much waits to be kept that neither side should be read until
 * onDrain, and each throws RecordingFailed when the recording cannot go on: nothing of what was told may then be passed
 * on, in either direction.
 */
export interface ChannelRecord {
  /** What the target has sent, before masks. To be told before output() of the same bytes. */
  unmasked(bytes: Uint8Array, isStderr: boolean): boolean;
  /** What the client is about to get, behind masks and limits. */
  output(bytes: Uint8Array, isStderr: boolean): boolean;
  /** What the client has sent, before the target gets it. */
  input(bytes: Uint8Array): boolean;
  /** The client's terminal has another size. */
  resize(size: TerminalSize): void;
  /** The operation has come to its end, as it will be in the log. Before Door.finish(); what comes later is lost. May be called twice. */
  end(outcome: Outcome): void;
  /** `callback` is called when there is room again; one listener, forgotten at the end. */
  onDrain(callback: () => void): void;
  /**
   * `callback` is called when nothing is being stored, and at once when that is so now: neither side may be read until
   * onDrain. One listener, forgotten at the end.
   */
  onStall(callback: () => void): void;
}
