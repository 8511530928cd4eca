/** Where the command line has done what must be recorded about recordings: the running gateway, or its log under the lock. */
import { userInfo } from "node:os";
import { ApiClient } from "../api/client.ts";
import type { CustodyOrder } from "../api/house.ts";
import { AuditLog } from "../audit/audit.ts";
import type { Config } from "../config/config.ts";
import { recordUnsealing, REASON_UNITS_MAX, shredRecording } from "../record/custody.ts";
import { KeptRecorder } from "../record/recorder.ts";
import { UsageError, type Arguments } from "./command.ts";
import { lockedFolder } from "./locked-folder.ts";

const CLOCK = { now: () => Date.now() };

export type CustodyDesk = {
  recordUnsealing(order: CustodyOrder, keys: readonly string[]): Promise<void>;
  /** Null: there is no such recording; false: it has no key any more. */
  shredRecording(order: CustodyOrder): Promise<boolean | null>;
};

/** Why, as `--reason` says it. */
export function readReason(args: Arguments): string {
  const reason = (args.text("reason") ?? "").trim();
  if (reason === "") throw new UsageError("--reason is missing: the log keeps why");
  if (reason.length > REASON_UNITS_MAX) throw new UsageError(`--reason has at most ${REASON_UNITS_MAX} characters`);
  return reason;
}

/** Who runs this, as the system knows them. */
export function whoRuns(): string {
  const { username, uid } = userInfo();
  return `${username} (uid ${uid})`;
}

/** Goes through the running gateway; when there is none, to the log itself, which nobody else may write meanwhile. */
export async function withCustody<T>(config: Config, work: (desk: CustodyDesk) => Promise<T>): Promise<T> {
  const { data: folder, name, audit: settings } = config;
  const gateway = await ApiClient.connect(folder);
  if (gateway !== null) {
    return work({
      recordUnsealing: async (order, keys) => gateway.recordUnsealing(order, keys),
      shredRecording: async (order) => gateway.shredRecording(order),
    });
  }
  await using stack = new AsyncDisposableStack();
  const lock = lockedFolder(folder);
  stack.defer(() => lock.release());
  const log = await AuditLog.open({ folder, origin: name, clock: CLOCK });
  stack.defer(async () => log.close());
  const recipients = settings.seal?.recipients ?? [];
  const recorder = new KeptRecorder({ folder, recipients, log, clock: CLOCK, say: () => undefined });
  stack.defer(async () => recorder.close());
  const local = (order: CustodyOrder): CustodyOrder => ({ ...order, by: `${order.by}, command line` });
  return await work({
    recordUnsealing: async (order, keys) => recordUnsealing(log, local(order), keys),
    shredRecording: async (order) => shredRecording(folder, recorder, log, local(order)),
  });
}
