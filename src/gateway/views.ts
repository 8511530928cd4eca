/** Tokens, sessions and times in the shapes in which the local socket and the commands show them. */
import type { SessionView, TokenView } from "../api/house.ts";
import type { Session } from "../core/session.ts";
import type { TokenRecord } from "../identity/token-store.ts";

/** A token as the outside sees it. */
export function tokenView({ createdAtMs, expiresAtMs, revokedAtMs, ...record }: TokenRecord): TokenView {
  const { id, subject, kind, groups, owner } = record;
  return {
    id,
    subject,
    kind,
    groups,
    owner,
    created: isoTime(createdAtMs),
    expires: expiresAtMs === null ? null : isoTime(expiresAtMs),
    revoked: revokedAtMs === null ? null : isoTime(revokedAtMs),
  };
}

export function sessionView({ id, identity, target, source, through, openedAtMs }: Session): SessionView {
  const { subject, issuer, kind } = identity;
  const { name, adapter } = target;
  const opened = isoTime(openedAtMs);
  return { id, subject, issuer, kind, target: name, adapter, source, through: through ?? null, opened };
}

/** A size of the log and when somebody vouched for it; null: nobody has. */
export function vouchedView(
  at: { readonly size: number; readonly timeMs: number } | null,
): { size: number; time: string } | null {
  return at === null ? null : { size: at.size, time: isoTime(at.timeMs) };
}

/** ISO 8601 in UTC. */
export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
