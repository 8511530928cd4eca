/** What the handler of each channel gets, and what masks and records say to the relay between its two ends. */
import type { Refusal } from "../../src/core/decision.ts";
import type { Clock, Door, ListenLimits, OpenSession } from "../../src/core/ports.ts";
import type { TargetConnection } from "./channels.ts";
import type { OutputMask } from "./mask/output-mask.ts";
import type { ChannelRecord } from "./record/channel-record.ts";
import type { SshSettings } from "./settings.ts";

/** What a channel is made of, whatever it is for. */
export type ChannelParts = {
  readonly door: Door;
  readonly opened: OpenSession;
  readonly clock: Clock;
  readonly settings: SshSettings;
  /** The account on the target. */
  readonly login: string;
  readonly target: TargetConnection;
  /** The channel's own: its operations wait for each other, and for no other channel's. */
  readonly lane: number;
  readonly limits: ListenLimits;
  /** Ends the whole connection, telling the client why on stderr where it can. */
  endSession(reason: Refusal): void;
};

export type RelayStages = {
  /** Null: nothing is masked. */
  readonly mask: OutputMask | null;
  /** Null: nothing is recorded. */
  readonly record: ChannelRecord | null;
};
