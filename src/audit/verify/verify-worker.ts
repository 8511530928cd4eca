/** A Worker of a verification: opens the log for itself and checks what it is told, one order after the other. */
import { parentPort } from "node:worker_threads";
import { messageOf } from "../../core/message-of.ts";
import { openSource } from "./open-source.ts";
import type { LogSource } from "./source.ts";
import { work, type WorkMessage, type WorkResult } from "./work.ts";

let source: LogSource | null = null;

parentPort?.on("message", (message: WorkMessage) => {
  let result: WorkResult;
  try {
    source ??= openSource(message.place);
    result = work(source, message.order);
  } catch (error) {
    result = { kind: "failed", reason: messageOf(error) };
  }
  parentPort?.postMessage(result);
});
