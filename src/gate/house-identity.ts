/** The gateway's own identity, for what it does on its own account. */
import type { Identity } from "../core/identity.ts";

export const HOUSE_IDENTITY: Identity = {
  kind: "service",
  issuer: "weir",
  subject: "gateway",
  groups: [],
  proof: { method: "token", credential: "house", expiresAtMs: null },
};
