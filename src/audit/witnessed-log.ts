/** The log of a gateway with those who vouch for it: looked for elsewhere before it is opened, then cosigned and stamped. */
import type { Clock } from "../core/ports.ts";
import { AuditLog } from "./audit.ts";
import type { AuditOptions } from "./audit.ts";
import { Cosigning } from "./cosigning.ts";
import type { SeenElsewhere } from "./seen-elsewhere.ts";
import { Stamping } from "./stamping.ts";
import { recordAcceptedLoss, startOfLog } from "./start-of-log.ts";
import { LogTree } from "./tree.ts";
import { WitnessClient } from "./witness-client.ts";
import type { WitnessAddress } from "./witness-client.ts";

export type WitnessedLogParts = {
  /** The data folder. */
  readonly folder: string;
  /** The gateway's name: the origin of its first log. */
  readonly name: string;
  readonly clock: Clock;
  readonly witnesses: readonly WitnessAddress[];
  /** New work is refused while the log is further ahead of its witnesses than this; null: never. */
  readonly witnessLagMsMax: number | null;
  /** The RFC 3161 authority, and how often it is asked; `ca` is PEM, null: the system's. Null: none. */
  readonly stamps: { readonly url: string; readonly everyMs: number; readonly ca: string | null } | null;
  /** Who else may have seen the log. */
  readonly places: readonly { readonly where: string; readonly ask: SeenElsewhere }[];
  /** Begin a new log when somebody has seen more of the old one than is there. */
  readonly acceptLoss: boolean;
  /** As AuditLog takes them. */
  readonly options: Pick<AuditOptions, "intentsAreAwaited" | "retentionMs" | "isTimeKnown">;
  say(line: string): void;
};

export type WitnessedLog = {
  readonly audit: AuditLog;
  /** Null: there are no witnesses. */
  readonly cosigning: Cosigning | null;
  /** Null: nobody stamps. */
  readonly stamping: Stamping | null;
  /** Closes the log, and gives its witnesses a moment for its last checkpoint. */
  close(): Promise<void>;
};

/** Rejects with LogSetBack when the log was cut or set back, and with a sentence for people when it cannot be opened. */
export async function openWitnessedLog(parts: WitnessedLogParts): Promise<WitnessedLog> {
  const { folder, clock, stamps, witnessLagMsMax: lagMsMax } = parts;
  const say = (line: string): void => parts.say(line);
  const witnesses = parts.witnesses.map((witness) => new WitnessClient(witness));
  const { origin, accepted } = await startOfLog({ ...parts, witnesses, say });

  await using stack = new AsyncDisposableStack();
  const audit = await AuditLog.open({
    folder,
    origin,
    clock,
    isWitnessed: witnesses.length > 0,
    // What the log itself finds lost, with nobody else to ask.
    isLossAccepted: parts.acceptLoss,
    ...parts.options,
  });
  // Closed before those whose work ends with the log's last checkpoint.
  const last = new AsyncDisposableStack();
  stack.use(last);
  stack.defer(async () => audit.close());
  await recordAcceptedLoss(folder, audit, accepted);
  const tree = LogTree.open(folder);
  last.defer(() => tree.close());
  const cosigning =
    witnesses.length === 0 ? null : new Cosigning({ witnesses, lagMsMax, log: audit, tree, clock, say });
  last.defer(async () => cosigning?.stop());
  const stampedSize = tree.stamps().at(-1)?.size ?? -1;
  const stamping = stamps === null ? null : new Stamping({ ...stamps, stampedSize, log: audit, say });
  stack.defer(async () => stamping?.stop());
  const closing = stack.move();
  return { audit, cosigning, stamping, close: async () => closing.disposeAsync() };
}
