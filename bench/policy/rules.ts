/** Sets of any size for the policy bench: permits and guards with obligations, windows and exceptions among them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Target } from "../../src/core/target.ts";

const RULES_PER_FILE = 100;

/**
 * realistic: a target has some 20 rules, of which a group has some. flat: every rule is about everybody and every
 * target, which is the worst for an index.
 */
export type Selectivity = "realistic" | "flat";

/** Writes a set into a folder; returns the targets that it speaks of. */
export function writeSet(dir: string, rules: number, selectivity: Selectivity): readonly Target[] {
  const targets = selectivity === "flat" ? 1 : Math.max(1, Math.round(rules / 20));
  const groups = selectivity === "flat" ? 1 : 10;
  const permits: string[] = [];
  const guards: string[] = [];
  for (let index = 0; index < rules; index++) {
    const target = `t${Math.floor(index / 20) % targets}`;
    if (index % 5 === 4) guards.push(guard(index, target));
    else permits.push(permit(index, target, `g${index % groups}`));
  }
  const head = "apiVersion: weir.dev/v1\nkind:";
  const groupLines = Array.from({ length: groups }, (_, index) => `  g${index}: g${index}`).join("\n");
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "policy.yaml"), `${head} PolicySet\nname: bench\n`);
  writeFileSync(
    join(dir, "vocabulary.yaml"),
    `${head} Vocabulary\ngroups:\n${groupLines}\nwindows:\n  day: { from: "06:00", to: "22:00", tz: Europe/Berlin }\n`,
  );
  writeRules(join(dir, "permits"), "Permits", permits);
  writeRules(join(dir, "guards"), "Guards", guards);
  return Array.from({ length: targets }, (_, index) => ({
    name: `t${index}`,
    adapter: "postgres",
    labels: { env: "prod" },
    settings: null,
  }));
}

function permit(index: number, target: string, group: string): string {
  const more = [
    "",
    "\n    obligations: { limit: { rows: 1000, rate: 60/1m }, record: [input] }",
    "\n    window: $day",
    "\n    obligations: { session: { readOnly: true, idle: 5m } }",
  ][index % 4];
  return `  - id: permit-${index}
    subject: { kinds: [agent, human], groups: [${group}] }
    target: { names: [${target}] }
    action: { postgres: { verbs: [select, insert, update, delete], relations: [public.table${index}, "shop${index}.*"] } }
    validUntil: "2035-12-31T00:00:00Z"${more ?? ""}`;
}

/** Of every four: one denies, one masks, one requires, one is only watched. Each has an exception. */
function guard(index: number, target: string): string {
  const relation = `public.table${index - 4}`;
  const denied = `action: { postgres: { verbs: [update, delete], relations: [${relation}], unfiltered: true } }
    deny: Not here.`;
  const what = [
    denied,
    `action: { postgres: { columns: [${relation}.name] } }
    oblige: { mask: [{ with: redact }], record: [output] }`,
    `action: { postgres: { verbs: [delete], relations: [${relation}] } }
    require: { justification: {} }`,
    `mode: observe
    ${denied}`,
  ][Math.floor(index / 5) % 4];
  return `  - id: guard-${index}
    target: { names: [${target}] }
    except: [{ subject: { groups: [g0], kinds: [service] }, reason: Agreed. }, { unread: true, reason: Agreed. }]
    ${what ?? ""}`;
}

function writeRules(dir: string, kind: string, rules: readonly string[]): void {
  mkdirSync(dir, { recursive: true });
  for (let at = 0; at < rules.length; at += RULES_PER_FILE) {
    const text = rules.slice(at, at + RULES_PER_FILE).join("\n");
    writeFileSync(join(dir, `${at}.yaml`), `apiVersion: weir.dev/v1\nkind: ${kind}\nrules:\n${text}\n`);
  }
}
