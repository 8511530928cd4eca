/** Whole rules and one access, in one session at one time, for the naive engine. */
import type { Given } from "../../src/core/given.ts";
import type { Access } from "../../src/core/operation.ts";
import type { Session } from "../../src/core/session.ts";
import { CONDITIONS, GROUPS, KNOWN } from "../policy-world.ts";
import type {
  ConditionText,
  WrittenBlock,
  WrittenException,
  WrittenRule,
  WrittenSubject,
  WrittenTarget,
} from "../policy-world.ts";
import { and, blocksOf, blockTruth, isAbout, keyTruth, or, permitBlockTruth, specsOf, truth } from "./facts.ts";
import type { Truth } from "./facts.ts";
import { listed, nameMatches } from "./names.ts";

/** What one decision is about. */
export class World {
  readonly permits: readonly WrittenRule[];
  readonly session: Session;
  readonly now: number;
  readonly given: Given;

  constructor(permits: readonly WrittenRule[], session: Session, now: number, given: Given) {
    this.permits = permits;
    this.session = session;
    this.now = now;
    this.given = given;
  }

  get adapter(): string {
    return this.session.target.adapter;
  }

  isAwake(rule: WrittenRule): boolean {
    const { issuer, subject } = this.session.identity;
    return this.given.grants.some(
      (grant) =>
        grant.rule === rule.id &&
        grant.issuer === issuer &&
        grant.subject === subject &&
        grant.expiresAtMs > this.now &&
        // Tests give `old` for a rule that has changed since.
        grant.ruleDigest !== "old",
    );
  }

  /** Subject, target, time, and awake: could the permit match anything? */
  isLive(rule: WrittenRule): boolean {
    return (
      subjectHolds(rule.subject, ["human"], this.session) &&
      targetHolds(rule.target, this.session) &&
      isTimely(rule, this.now) &&
      (rule.activation === undefined || this.isAwake(rule))
    );
  }

  permitsAccess(rule: WrittenRule, access: Access): boolean {
    const action = or(...blocksOf(rule.action).map((block) => permitBlockTruth(block, access, this.adapter)));
    const masksColumns = (rule.obligations?.mask ?? []).some((mask) => mask.fields === undefined);
    const columns = access.facts["columns"];
    const isMaskable = access.opaque !== true && (columns === undefined || Array.isArray(columns));
    return (
      this.isLive(rule) &&
      (access.opaque !== true || rule.allowOpaque === true) &&
      and(action, conditionTruth(rule.condition, access, true)) === "true" &&
      (!masksColumns || isMaskable)
    );
  }

  guardTruth(rule: WrittenRule, access: Access): Truth {
    return or(...blocksOf(rule.action).map((block) => this.guardBlockTruth(rule, block, access)));
  }

  /** A guard's blocks are ORed, so it applies where it would with some one of them alone. */
  guardBlockTruth(rule: WrittenRule, block: WrittenBlock, access: Access): Truth {
    const match = and(
      truth(subjectHolds(rule.subject, ["human", "agent", "service"], this.session)),
      truth(targetHolds(rule.target, this.session)),
      truth(isTimely(rule, this.now)),
      blockTruth(block, access, this.adapter, false),
      conditionTruth(rule.condition, access, false),
    );
    const exceptions = (rule.except ?? []).map((each) => (each === "$known" ? KNOWN : each));
    return exceptions.some((exception) => this.lifts(exception, match, access)) ? "false" : match;
  }

  lifts(exception: WrittenException, match: Truth, access: Access): boolean {
    const mayBeAnything = access.opaque === true && exception.unread !== true;
    const covers = (block: WrittenBlock): boolean => {
      const isWide = block.classes === undefined && specsOf(block, this.adapter).length === 0;
      if (mayBeAnything && !isWide) return false;
      return blockTruth(block, access, this.adapter, true) === "true";
    };
    const granted = this.permits.find(({ id }) => id === exception.grant);
    return (
      (exception.unread !== true || match === "unknown") &&
      subjectHolds(exception.subject, ["human"], this.session) &&
      targetHolds(exception.target, this.session) &&
      (exception.validUntil === undefined || this.now < Date.parse(exception.validUntil)) &&
      (exception.action === undefined || blocksOf(exception.action).some(covers)) &&
      !(mayBeAnything && exception.condition?.includes("access") === true) &&
      conditionTruth(exception.condition, access, true) === "true" &&
      (exception.grant === undefined || (granted !== undefined && this.permitsAccess(granted, access)))
    );
  }

  /** Does the rule speak of this session's protocol at all, and of what the access says of the session (its rooms)? */
  admits(rule: WrittenRule, access: Access): boolean {
    return (
      this.isLive(rule) &&
      blocksOf(rule.action).some((block) => {
        const rooms = specsOf(block, this.adapter).find(([key]) => key === "rooms")?.[1];
        if (!isAbout(block, this.adapter)) return false;
        if (rooms === undefined || access.facts["rooms"] === undefined) return true;
        return keyTruth("rooms", rooms, access, this.adapter, true) === "true";
      })
    );
  }
}

function subjectHolds(subject: WrittenSubject | undefined, kindsIfUnsaid: string[], session: Session): boolean {
  if (subject === undefined || subject.any === true) return true;
  const { kind, subject: name, groups, owner } = session.identity;
  return (
    (subject.kinds ?? kindsIfUnsaid).includes(kind) &&
    (subject.names === undefined || listed(name, subject.names, nameMatches)) &&
    (subject.groups === undefined || subject.groups.some((group) => groups.includes(GROUPS[group] ?? ""))) &&
    (subject.owners === undefined || (owner !== undefined && listed(owner, subject.owners, nameMatches)))
  );
}

function targetHolds(target: WrittenTarget | undefined, session: Session): boolean {
  if (target === undefined || target.any === true) return true;
  return (
    (target.names === undefined || listed(session.target.name, target.names, nameMatches)) &&
    Object.entries(target.labels ?? {}).every(([key, values]) => values.includes(session.target.labels[key] ?? ""))
  );
}

function isTimely(rule: WrittenRule, now: number): boolean {
  const hour = new Date(now).getUTCHours();
  const isDay = hour >= 8 && hour < 18;
  return (
    (rule.validFrom === undefined || Date.parse(rule.validFrom) <= now) &&
    (rule.validUntil === undefined || now < Date.parse(rule.validUntil)) &&
    (rule.window === undefined || isDay === (rule.window === "$day"))
  );
}

function conditionTruth(text: ConditionText | undefined, access: Access, isPermit: boolean): Truth {
  if (text === undefined) return "true";
  const value = CONDITIONS[text];
  if (typeof value !== "boolean") return "unknown";
  // What cannot be read may be what a guard's condition asks of it.
  if (!value && !isPermit && access.opaque === true && text.includes("access")) return "unknown";
  return truth(value);
}
