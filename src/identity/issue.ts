/** Makes and revokes tokens so that the log knows: a token that could not be recorded is not handed out. */
import type { Audit, Sequence } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";
import { messageOf } from "../core/message-of.ts";
import type { NewToken, TokenRecord, TokenStore } from "./token-store.ts";

/** What issuing needs of the log. */
export type Recorder = Pick<Audit, "event"> & { waitDurable(sequence: Sequence): Promise<void> };

/** Who asked, as the record says it: the command line goes to the files itself or through the gateway's local socket. */
export type IssuedBy = "command line" | "local socket";

/** Makes a token and records it. Rejects, with the token already revoked, when it cannot be recorded. */
export async function issueToken(
  store: TokenStore,
  recorder: Recorder,
  wanted: NewToken,
  by: IssuedBy,
  now: TimeMs,
): Promise<{ readonly text: string; readonly record: TokenRecord }> {
  const made = store.create(wanted, now);
  const { id, subject, kind, groups, owner, expiresAtMs } = made.record;
  try {
    const sequence = recorder.event("token.created", { token: id, subject, kind, groups, owner, expiresAtMs, by });
    await recorder.waitDurable(sequence);
  } catch (error) {
    store.revoke(id, now);
    throw new Error(`the token could not be recorded, so there is none: ${messageOf(error)}`, { cause: error });
  }
  return made;
}

/**
 * Revokes a token and records it; null when there is none of that id. A revocation counts also when it cannot be
 * recorded: then this rejects and says so.
 */
export async function revokeToken(
  store: TokenStore,
  openRecorder: () => Promise<Recorder>,
  id: string,
  by: IssuedBy,
  now: TimeMs,
): Promise<TokenRecord | null> {
  const before = store.find(id)?.record;
  if (before !== undefined && before.revokedAtMs !== null) return before;
  const record = store.revoke(id, now);
  if (record === null) return null;
  try {
    const recorder = await openRecorder();
    await recorder.waitDurable(recorder.event("token.revoked", { token: id, subject: record.subject, by }));
  } catch (error) {
    throw new Error(`the token is revoked, but this could not be recorded: ${messageOf(error)}`, { cause: error });
  }
  return record;
}
