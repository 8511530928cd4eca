/** One question put to the engine: who asks, when, and what people have given. */
import type { Given, Grant } from "../../core/given.ts";
import type { Identity } from "../../core/identity.ts";
import type { Session, TimeMs } from "../../core/session.ts";
import type { PermitRule, Rule } from "./rule.ts";

const NONE_AWAKE: ReadonlySet<PermitRule> = new Set();

export class Inquiry {
  readonly session: Session;
  readonly now: TimeMs;
  readonly given: Given;
  /** The permits that grants have woken for the subject of the session. */
  readonly awake: ReadonlySet<PermitRule>;
  /** Set once something was looked at that may change though neither policy nor the time's edges do. */
  isVolatile = false;

  /** `rules`: the whole set, in which the rules of grants are looked up. */
  constructor(rules: ReadonlyMap<string, Rule>, session: Session, now: TimeMs, given: Given) {
    this.session = session;
    this.now = now;
    this.given = given;
    this.awake = given.grants.length === 0 ? NONE_AWAKE : wokenBy(given.grants, rules, session.identity, now);
  }
}

/** A grant is good for one subject, until it expires, and for the rule as it was when it was granted. */
function wokenBy(
  grants: readonly Grant[],
  rules: ReadonlyMap<string, Rule>,
  identity: Identity,
  now: TimeMs,
): ReadonlySet<PermitRule> {
  const awake = new Set<PermitRule>();
  for (const grant of grants) {
    if (grant.subject !== identity.subject || grant.issuer !== identity.issuer || !(now < grant.expiresAtMs)) continue;
    const rule = rules.get(grant.rule);
    if (rule?.effect === "permit" && rule.activation !== null && rule.digest === grant.ruleDigest) awake.add(rule);
  }
  return awake;
}
