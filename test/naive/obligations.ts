/** What must hold, as the naive engine sees it: all that any rule says is gathered first, and then the strictest is taken. */
import type { Meter, Obligations, SessionObligation } from "../../src/core/obligation.ts";
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access } from "../../src/core/operation.ts";
import type { WrittenMask, WrittenObligations, WrittenRule } from "../policy-world.ts";
import { blocksOf, permitBlockTruth } from "./facts.ts";
import { listed, nameMatches } from "./names.ts";
import type { World } from "./world.ts";

export type Bearing = { readonly rule: WrittenRule; readonly access: Access };

const MS: Readonly<Record<string, number>> = {
  "5s": 5000,
  "20s": 20_000,
  "5m": 300_000,
  "10m": 600_000,
  "1h": 3_600_000,
};
const ms = (text: string | undefined): number | undefined => (text === undefined ? undefined : MS[text]);

type WrittenSession = NonNullable<WrittenObligations["session"]>;

/** `sessions`: of a session that opens, what each permit that could match wants, for each access. */
export function naiveObligations(
  bearing: readonly Bearing[],
  sessions: readonly (readonly WrittenSession[])[],
  world: World,
): { readonly obligations: Obligations; readonly unmaskable: readonly Bearing[] } {
  const rules = [...new Set(bearing.map(({ rule }) => rule))];
  const written = rules.flatMap((rule) => rule.obligations ?? rule.oblige ?? []);
  const rows = least(written.map(({ limit }) => limit?.rows));
  const timeMs = least(written.map(({ limit }) => ms(limit?.time)));
  const meters = metersOf(rules);
  const limit = {
    ...(rows === undefined ? {} : { rows }),
    ...(timeMs === undefined ? {} : { timeMs }),
    ...(meters.length === 0 ? {} : { meters }),
  };
  const record = (["input", "output", "raw"] as const).filter((kind) =>
    written.some((each) => each.record?.includes(kind)),
  );
  const session = strictest([
    ...written.flatMap((each) => (each.session === undefined ? [] : [compiled(each.session)])),
    ...sessions.map((each) => mildest(each.map(compiled))),
  ]);
  const alerts = written.flatMap((each) => each.alert ?? []);
  const alert = [...new Set(alerts.map(({ channel }) => channel))].toSorted().map((channel) => ({
    channel,
    severity:
      (["critical", "warning", "info"] as const).find((severity) =>
        alerts.some((each) => each.channel === channel && each.severity === severity),
      ) ?? "info",
  }));
  const { mask, unmaskable } = maskOf(bearing, world);
  return {
    obligations: {
      ...(Object.keys(limit).length === 0 ? {} : { limit }),
      ...(mask === undefined ? {} : { mask }),
      ...(record.length === 0 ? {} : { record }),
      ...(Object.keys(session).length === 0 ? {} : { session }),
      ...(alert.length === 0 ? {} : { alert }),
    },
    unmaskable,
  };
}

function least(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((each) => each !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function metersOf(rules: readonly WrittenRule[]): readonly Meter[] {
  return rules
    .flatMap((rule) =>
      ((rule.obligations ?? rule.oblige)?.limit?.budget ?? []).map(({ max }): Meter => ({
        id: `${rule.id}/rows/session/subject`,
        rule: rule.id,
        unit: "rows",
        max,
        per: { kind: "session" },
        across: "subject",
      })),
    )
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function compiled(session: WrittenSession): SessionObligation {
  const maxDurationMs = ms(session.maxDuration);
  const idleMs = ms(session.idle);
  return {
    ...(session.readOnly === true ? { readOnly: true } : {}),
    ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
  };
}

function strictest(sessions: readonly SessionObligation[]): SessionObligation {
  const maxDurationMs = least(sessions.map((each) => each.maxDurationMs));
  const idleMs = least(sessions.map((each) => each.idleMs));
  return {
    ...(sessions.some((each) => each.readOnly === true) ? { readOnly: true } : {}),
    ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
  };
}

function mildest(sessions: readonly SessionObligation[]): SessionObligation {
  const most = (key: "maxDurationMs" | "idleMs"): number | undefined =>
    sessions.some((each) => each[key] === undefined) ? undefined : Math.max(...sessions.map((each) => each[key] ?? 0));
  const maxDurationMs = most("maxDurationMs");
  const idleMs = most("idleMs");
  return {
    ...(sessions.every((each) => each.readOnly === true) ? { readOnly: true } : {}),
    ...(maxDurationMs === undefined ? {} : { maxDurationMs }),
    ...(idleMs === undefined ? {} : { idleMs }),
  };
}

/* ---- masks ---- */

type Transform = NonNullable<Obligations["mask"]>["columns"][string];

function maskOf(
  bearing: readonly Bearing[],
  world: World,
): { readonly mask: Obligations["mask"]; readonly unmaskable: readonly Bearing[] } {
  const columns: [string, WrittenMask][] = [];
  const fields: [string, WrittenMask][] = [];
  const predicates: ("masked" | "deny" | "equality")[] = [];
  const unmaskable: Bearing[] = [];
  for (const { rule, access } of bearing) {
    const masks = (rule.obligations ?? rule.oblige)?.mask ?? [];
    const fact = access.facts["columns"] ?? [];
    const isKnown = access.opaque !== true && fact !== UNKNOWN && typeof fact === "object";
    if (!isKnown && masks.some((mask) => mask.fields === undefined)) {
      if (rule.obligations === undefined) unmaskable.push({ rule, access });
      continue;
    }
    const before = columns.length + fields.length;
    for (const column of isKnown ? fact : []) {
      const named = masks.filter((mask) => mask.columns !== undefined && listed(column, mask.columns, nameMatches));
      const unnamed = masks.filter((mask) => mask.columns === undefined && mask.fields === undefined);
      const isMatched = columnsMatched(rule, access, world).includes(column);
      const winning = named.length > 0 ? named : isMatched ? unnamed : [];
      for (const mask of winning) columns.push([column, mask]);
    }
    for (const mask of masks) for (const field of mask.fields ?? []) fields.push([field, mask]);
    if (columns.length + fields.length === before) continue;
    const said = masks.flatMap((mask) => mask.predicates ?? []);
    predicates.push(...(said.length === 0 ? (["masked"] as const) : said));
  }
  if (predicates.length === 0) return { mask: undefined, unmaskable };
  const joined = {
    columns: together(columns),
    fields: together(fields),
    classifiers: {},
    patterns: {},
    predicates: (["deny", "masked"] as const).find((each) => predicates.includes(each)) ?? ("equality" as const),
  };
  return { mask: joined, unmaskable };
}

/** The columns of the access that the blocks of the action which match it list, or all of them where one lists none. */
function columnsMatched(rule: WrittenRule, access: Access, world: World): readonly string[] {
  const fact = access.facts["columns"];
  const columns = typeof fact === "object" ? fact : [];
  const matching = blocksOf(rule.action).filter((block) =>
    rule.obligations === undefined
      ? world.guardBlockTruth(rule, block, access) !== "false"
      : permitBlockTruth(block, access, world.adapter) === "true",
  );
  return columns.filter((column) =>
    matching.some((block) => {
      const list = world.adapter === "tiny" ? block.tiny?.["columns"] : undefined;
      return list === undefined || listed(column, list as string[], nameMatches);
    }),
  );
}

function together(masks: readonly [string, WrittenMask][]): Readonly<Record<string, Transform>> {
  const names = [...new Set(masks.map(([name]) => name))].toSorted();
  return Object.fromEntries(
    names.map((name): [string, Transform] => {
      const all = masks.filter(([each]) => each === name).map(([, mask]) => mask);
      const kinds = new Set(all.map((mask) => mask.with));
      const [kind] = kinds;
      if (kinds.size !== 1 || kind === undefined) return [name, { with: "redact" }];
      if (kind !== "partial") return [name, { with: kind }];
      const keepFirst = Math.min(...all.map((mask) => mask.keepFirst ?? 0));
      const keepLast = Math.min(...all.map((mask) => mask.keepLast ?? 0));
      return [name, { with: "partial", keepFirst, keepLast }];
    }),
  );
}
