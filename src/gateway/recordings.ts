/** The recorder of sessions, and the end of recordings that are older than they are kept. */
import type { AuditLog } from "../audit/audit.ts";
import { messageOf } from "../core/message-of.ts";
import { pruneRecordings } from "../record/custody.ts";
import { KeptRecorder } from "../record/recorder.ts";
import type { GatewayParts } from "./parts.ts";
import { deferEnd } from "./within-time.ts";

/** How often recordings beyond their retention are looked for. */
const PRUNE_MS = 3_600_000;

/** Starts the recorder; what closes it is put on `stack`. */
export async function openRecorder(
  parts: GatewayParts,
  audit: AuditLog,
  isTimeKnown: () => boolean,
  stack: AsyncDisposableStack,
): Promise<KeptRecorder> {
  const { config, clock, say } = parts;
  const recipients = config.audit.seal?.recipients ?? [];
  const recorder = new KeptRecorder({ folder: config.data, recipients, log: audit, clock, say });
  await recorder.start();
  deferEnd(stack, "the recorder", async () => recorder.close());
  const pruning = pruneOldRecordings(parts, recorder, audit, isTimeKnown);
  stack.defer(() => clearInterval(pruning));
  return recorder;
}

/** Deletes recordings that are older than `audit.retention`, from now on and every hour. */
function pruneOldRecordings(
  { config, clock, say }: GatewayParts,
  recorder: KeptRecorder,
  audit: AuditLog,
  isTimeKnown: () => boolean,
): ReturnType<typeof setInterval> | undefined {
  const { retentionMs } = config.audit;
  if (retentionMs === null) return undefined;
  const prune = async (): Promise<void> => {
    // A clock that was set forward makes nothing old.
    if (!isTimeKnown()) return;
    try {
      await pruneRecordings(config.data, recorder, audit, clock.now() - retentionMs);
    } catch (error) {
      say(`old recordings could not be deleted: ${messageOf(error)}`);
    }
  };
  void prune();
  const timer = setInterval(() => void prune(), PRUNE_MS);
  timer.unref();
  return timer;
}
