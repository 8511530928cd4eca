/** Entries as events of the Open Cybersecurity Schema Framework: Datastore Activity, API Activity and Authentication. */
import type { IntentLeaf } from "../entry.ts";
import type { SelectedEntry } from "./selection.ts";

/** The version of the schema that the events are of. */
const OCSF_VERSION = "1.3.0";

const DATASTORE = {
  category_uid: 6,
  category_name: "Application Activity",
  class_uid: 6005,
  class_name: "Datastore Activity",
};
const API = { category_uid: 6, category_name: "Application Activity", class_uid: 6003, class_name: "API Activity" };
const AUTHENTICATION = {
  category_uid: 3,
  category_name: "Identity & Access Management",
  class_uid: 3002,
  class_name: "Authentication",
};

type OcsfClass = { readonly class_uid: number; readonly category_uid: number };
type Activity = readonly [id: number, name: string];
export type OcsfEvent = Readonly<Record<string, unknown>>;

/** Whose log it is: the gateway's name and version. */
export type Product = { readonly gateway: string; readonly version: string };

const OTHER_ACTIVITY: Activity = [99, "Other"];
/** What access classes are called there; the first of these that an operation has decides. */
const DATASTORE_ACTIVITIES: readonly (readonly [accessClass: string, activity: Activity])[] = [
  ["define", [6, "Create"]],
  ["write", [5, "Write"]],
  ["administer", OTHER_ACTIVITY],
  ["execute", OTHER_ACTIVITY],
  ["transfer", OTHER_ACTIVITY],
  ["forward", OTHER_ACTIVITY],
  ["connect", [3, "Connect"]],
  ["read", [4, "Query"]],
];
const API_ACTIVITIES: readonly (readonly [accessClass: string, activity: Activity])[] = [
  ["define", [1, "Create"]],
  ["write", [3, "Update"]],
  ["read", [2, "Read"]],
];
/** Other events: what they did, where that is one of the schema's words. */
const EVENT_ACTIVITIES: Readonly<Record<string, Activity>> = {
  "token.created": [1, "Create"],
  "token.revoked": [4, "Delete"],
  "policy.activated": [3, "Update"],
  "config.loaded": [3, "Update"],
  "audit.key_rotated": [3, "Update"],
  "audit.pruned": [4, "Delete"],
  "recording.started": [1, "Create"],
  "recording.unsealed": [2, "Read"],
  "recording.shredded": [4, "Delete"],
};
/** What somebody should look at. */
const WARNINGS = new Set([
  "policy.rejected",
  "policy.alarmed",
  "alert.raised",
  "audit.gap",
  "clock.stepped",
  "witness.failed",
  "ship.failed",
]);

const INFORMATIONAL = [1, "Informational"] as const;
const MEDIUM = [3, "Medium"] as const;
const SUCCESS = [1, "Success"] as const;
const FAILURE = [2, "Failure"] as const;
const UNKNOWN_STATUS = [0, "Unknown"] as const;

export function ocsfEvent(entry: SelectedEntry, product: Product): OcsfEvent {
  const { leaf, operation } = entry;
  if (operation !== null && leaf.shape !== "event") return operationEvent(entry, operation, product);
  if (leaf.event === "login.ok" || leaf.event === "login.failed") return loginEvent(entry, product);
  return otherEvent(entry, product);
}

function operationEvent(entry: SelectedEntry, operation: IntentLeaf, product: Product): OcsfEvent {
  const { leaf } = entry;
  const { subject, session, target, decision } = operation;
  const isDatabase = operation.operation.adapter === "postgres";
  const kind = isDatabase ? DATASTORE : API;
  const classes = new Set(operation.operation.accesses.map((access) => access.class));
  const activities = isDatabase ? DATASTORE_ACTIVITIES : API_ACTIVITIES;
  const activity = activities.find(([accessClass]) => classes.has(accessClass))?.[1] ?? OTHER_ACTIVITY;
  const outcome = leaf.shape === "event" ? undefined : leaf.outcome;
  const isDenied = decision.kind === "deny";
  const status = isDenied ? FAILURE : statusOf(outcome?.status);
  const endpoint = { ip: session.source };
  return {
    ...head(entry, product, kind, activity, isDenied ? MEDIUM : INFORMATIONAL),
    ...statusView(status, isDenied ? decision.refusal : outcome?.code),
    message: isDenied
      ? `refused by ${decision.rules?.join(", ") ?? "policy"}`
      : `${decision.kind} ${outcome?.status ?? "intent"}`,
    actor: {
      user: userView(subject),
      session: {
        uid: session.id,
        issuer: subject.issuer,
        credential_uid: subject.proof.credential,
        created_time: session.openedAtMs,
      },
    },
    src_endpoint: endpoint,
    dst_endpoint: { name: target.name, svc_name: operation.operation.adapter },
    ...(isDatabase
      ? { type_id: 1, type: "Database", database: { name: target.name, type_id: 1, type: "Relational" } }
      : {
          api: { operation: operation.operation.kind, service: { name: target.name }, request: { uid: operation.id } },
        }),
    ...(outcome?.durationMs === undefined ? {} : { duration: Math.round(outcome.durationMs) }),
    unmapped: unmapped(entry, {
      decision: decision.kind,
      rules: decision.rules,
      policy: decision.policy.digest,
      commit: decision.policy.commit,
      accesses: operation.operation.accesses,
      textSha256: operation.textSha256,
      rows: outcome?.rows,
      bytes: outcome?.bytes,
      sha256: outcome?.sha256,
      ranges: outcome?.ranges,
      through: session.through,
    }),
  };
}

function loginEvent(entry: SelectedEntry, product: Product): OcsfEvent {
  const facts = entry.leaf.shape === "event" ? entry.leaf.facts : {};
  const isOk = entry.leaf.event === "login.ok";
  const name = textOf(facts["subject"]) ?? "unknown";
  const source = textOf(facts["source"]);
  return {
    ...head(entry, product, AUTHENTICATION, [1, "Logon"], isOk ? INFORMATIONAL : MEDIUM),
    ...statusView(isOk ? SUCCESS : FAILURE, undefined),
    ...(textOf(facts["reason"]) === undefined ? {} : { status_detail: textOf(facts["reason"]) }),
    user: {
      name,
      ...(textOf(facts["issuer"]) === undefined ? {} : { domain: textOf(facts["issuer"]) }),
      ...(textOf(facts["credential"]) === undefined ? {} : { credential_uid: textOf(facts["credential"]) }),
    },
    ...(source === undefined
      ? {}
      : { src_endpoint: source.includes("/") || source === "others" ? { name: source } : { ip: source } }),
    service: { name: product.gateway },
    is_remote: true,
    ...(typeof facts["count"] === "number" ? { count: facts["count"] } : {}),
    unmapped: unmapped(entry, { facts }),
  };
}

function otherEvent(entry: SelectedEntry, product: Product): OcsfEvent {
  const { leaf } = entry;
  const facts = leaf.shape === "event" ? leaf.facts : {};
  const activity = EVENT_ACTIVITIES[leaf.event] ?? OTHER_ACTIVITY;
  const who = textOf(facts["by"]) ?? textOf(facts["subject"]) ?? product.gateway;
  const isRefused = leaf.event === "session.refused";
  return {
    ...head(entry, product, API, activity, WARNINGS.has(leaf.event) || isRefused ? MEDIUM : INFORMATIONAL),
    ...statusView(isRefused ? FAILURE : SUCCESS, textOf(facts["code"])),
    message: leaf.event,
    actor: { user: { name: who }, app_name: "weir" },
    api: { operation: leaf.event, service: { name: product.gateway } },
    src_endpoint: textOf(facts["source"]) === undefined ? { name: product.gateway } : { ip: textOf(facts["source"]) },
    ...(isRefused && typeof facts["count"] === "number" ? { count: facts["count"] } : {}),
    unmapped: unmapped(entry, leaf.shape === "event" ? { facts } : { outcome: leaf.outcome }),
  };
}

function head(
  { leaf, operation }: SelectedEntry,
  { gateway, version }: Product,
  kind: OcsfClass,
  [activityId, activityName]: Activity,
  [severityId, severity]: readonly [number, string],
): OcsfEvent {
  return {
    activity_id: activityId,
    activity_name: activityName,
    ...kind,
    type_uid: kind.class_uid * 100 + activityId,
    severity_id: severityId,
    severity,
    time: Math.floor(leaf.timeMs),
    metadata: {
      version: OCSF_VERSION,
      product: { name: "weir", vendor_name: "weir", version },
      uid: `${gateway}#${leaf.index}`,
      event_code: leaf.event,
      log_name: gateway,
      ...(operation === null ? {} : { correlation_uid: operation.id }),
      ...(leaf.sequence === undefined ? {} : { sequence: leaf.sequence }),
    },
  };
}

/** Where the event stands in the log, so that it can be proved. */
function unmapped({ index, hash, leaf }: SelectedEntry, more: Readonly<Record<string, unknown>>): OcsfEvent {
  return { index, leafHash: Buffer.from(hash).toString("hex"), boot: leaf.boot, ...more };
}

function statusOf(status: string | undefined): readonly [number, string] {
  if (status === undefined || status === "unknown") return UNKNOWN_STATUS;
  return status === "done" ? SUCCESS : FAILURE;
}

function statusView([id, status]: readonly [number, string], code: string | undefined): OcsfEvent {
  return { status_id: id, status, ...(code === undefined ? {} : { status_code: code }) };
}

function userView(subject: IntentLeaf["subject"]): OcsfEvent {
  const types: Readonly<Record<string, Activity>> = { human: [1, "User"], service: [4, "Service"] };
  const [typeId, type] = types[subject.kind] ?? [99, subject.kind];
  return {
    name: subject.name,
    type_id: typeId,
    type,
    domain: subject.issuer,
    credential_uid: subject.proof.credential,
    groups: subject.groups.map((name) => ({ name })),
  };
}

function textOf(fact: unknown): string | undefined {
  return typeof fact === "string" && fact !== "" ? fact : undefined;
}
