/** Refusals in SFTP's words: a status and its message. */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import { refusalLine } from "../refuse.ts";
import type { Status } from "./protocol/replies.ts";
import { FX } from "./protocol/types.ts";

/** Most clients show the code's own words only; the message has the gateway's. */
export function statusOf(no: Refusal): Status {
  return { code: FX.permissionDenied, message: refusalLine(no) };
}

/** The client's bytes are not SFTP. */
export function protocolBroken(message: string): Refusal {
  return refusal("protocol", message, { hint: "This SFTP channel ends here; begin another one." });
}

/** The target's are not. */
export function targetBroken(detail: string): Refusal {
  return refusal("target_unavailable", "the target's SFTP server does not answer as SFTP version 3 says", { detail });
}
