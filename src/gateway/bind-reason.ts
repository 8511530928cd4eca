/** Why an address cannot be listened on, and what to do about it. */
import { messageOf } from "../core/message-of.ts";

/** A sentence for people of what the system said. */
export function bindReason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code === "EADDRINUSE") return "the port is in use; stop what holds it, or choose another port";
  if (code === "EACCES") return "this user may not bind the port; choose one above 1023";
  if (code === "EADDRNOTAVAIL") return "this is no address of this machine; name one that is, or 0.0.0.0 for all";
  return messageOf(error);
}
