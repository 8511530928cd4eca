/** The shape of what rules demand: requirements that people meet, and obligations that the gateway keeps. */
import * as v from "valibot";
import {
  count,
  countOrNone,
  duration,
  listOf,
  maybe,
  name,
  names,
  object,
  oneOf,
  size,
  someOf,
  yes,
} from "./schema-words.ts";

const MASKS_MAX = 200;
const METERS_MAX = 20;
const ALERTS_MAX = 20;

const approvalTimes = {
  count: maybe(count, "How many people must approve; the requester and the owner of a requesting agent never count."),
  within: maybe(duration, "How long the ask waits for them."),
  validFor: maybe(duration, "How long the approval may be used."),
  uses: maybe(count, "How often it may be used."),
};

/** What policy.yaml says of approvals that do not say it themselves. */
export const approvalDefaults = object(approvalTimes);

export const requirements = object({
  approval: maybe(
    object({
      from: object({
        groups: maybe(names, "Groups that vocabulary.yaml declares."),
        subjects: maybe(names, "Names of people."),
      }),
      ...approvalTimes,
      distinctFrom: maybe(names, "Ids of rules: who approved for one of them cannot approve here."),
    }),
    "People who must agree.",
  ),
  justification: maybe(
    object({ pattern: maybe(name, "$name of a pattern that the whole text must match.") }),
    "The requester must say why.",
  ),
  stepUp: maybe(v.literal("mfa"), "The requester must prove who they are once more."),
  confirm: maybe(v.literal("owner"), "The owner of the requesting agent must agree."),
});

export const activation = object({
  maxDuration: duration,
  requirements,
});

const budget = object({
  calls: maybe(yes, "Counts operations."),
  rows: maybe(yes, "Counts rows returned or affected."),
  bytes: maybe(yes, "Counts bytes sent to the client."),
  max: v.union([count, size], 'Write a whole number; of bytes, a size such as "5MiB"'),
  per: oneOf(["session", "hour", "day"]),
  across: oneOf(["subject", "owner"]),
});

export const limit = object({
  rows: maybe(count, "Rows of one operation, returned or affected."),
  bytes: maybe(size, "Bytes of one operation, sent to the client."),
  time: maybe(duration, "How long one operation may take."),
  rate: maybe(name, 'Operations in any such time, such as "30/1m".'),
  budget: maybe(listOf(budget, METERS_MAX), "Sums over operations."),
});

/** An empty value is YAML's null too; that it is written out is checked by meaning. */
const maskWith = v.union(
  [oneOf(["redact", "null", "hash", "partial"]), v.null()],
  "There is redact, null, hash, partial",
);

const mask = object({
  columns: maybe(names, "Columns, as the action names them; what the action matches when left out."),
  fields: maybe(names, "Fields of documents."),
  classifiers: maybe(names, "Kinds of content that the gateway's detectors know."),
  patterns: maybe(names, "$names of patterns."),
  with: maskWith,
  keepFirst: maybe(countOrNone, "partial: how many characters stay at the beginning."),
  keepLast: maybe(countOrNone, "partial: how many characters stay at the end."),
  predicates: maybe(
    oneOf(["masked", "deny", "equality"]),
    "What a condition on a masked column sees: the masked value, nothing (refused), or only whether it is equal.",
  ),
});

export const sessionLimits = object({
  readOnly: maybe(yes, "The session can write nothing."),
  maxDuration: maybe(duration, "How long the session may last."),
  idle: maybe(duration, "How long the session may do nothing."),
});

export const obligations = object({
  mask: maybe(listOf(mask, MASKS_MAX), "What is hidden, and how."),
  limit: maybe(limit, "Numbers that an operation may not pass; reaching one is an error."),
  record: maybe(someOf(["input", "output", "raw"]), "What is kept besides the log."),
  session: maybe(sessionLimits, "What holds for the whole session."),
  alert: maybe(
    listOf(
      object({
        channel: name,
        severity: v.exactOptional(oneOf(["info", "warning", "critical"])),
      }),
      ALERTS_MAX,
    ),
    "Who is told.",
  ),
});
