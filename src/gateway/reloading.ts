/** What a running gateway takes anew when it is told to: its policies and its listeners' certificates. No session ends by it. */
import { isDeepStrictEqual } from "node:util";
import type { Config, Listener } from "../config/config.ts";
import { messageOf } from "../core/message-of.ts";
import type { Audit } from "../core/ports.ts";
import type { PolicyStore } from "../policy/store.ts";
import type { Listeners } from "./listeners.ts";

/** What stands in a configuration and counts at the next start only, by the names that people write. */
const AT_THE_NEXT_START = [
  "name",
  "data",
  "policies",
  "targets",
  "limits",
  "audit",
] as const satisfies readonly (keyof Config)[];

export type Reloaded = {
  readonly policy: Pick<PolicyStore, "reload" | "digest">;
  readonly listeners: Listeners;
  readonly audit: Pick<Audit, "event">;
};

/**
 * Takes anew what can be, and answers what it did: one line each. `next` is the configuration as it is written now; null:
 * it has errors, and nothing of it is taken. Never rejects.
 */
export async function reload(
  current: Config,
  next: Config | null,
  { policy, listeners, audit }: Reloaded,
): Promise<readonly string[]> {
  const ofConfiguration =
    next === null
      ? ["the configuration has errors, and nothing of it was taken"]
      : configurationLines(current, next, listeners, audit);
  return [await policyLine(policy), ...ofConfiguration];
}

function configurationLines(
  current: Config,
  next: Config,
  listeners: Listeners,
  audit: Pick<Audit, "event">,
): readonly string[] {
  try {
    // As at the start, and before any of it counts.
    audit.event("config.loaded", { file: next.file, digest: next.digest });
  } catch (error) {
    return [`the configuration was not taken, because nothing can be recorded now: ${messageOf(error)}`];
  }
  return [...listeners.renewCertificates(next.listeners), ...waitingLines(current, next)];
}

async function policyLine(policy: Pick<PolicyStore, "reload" | "digest">): Promise<string> {
  try {
    const { kind } = await policy.reload();
    const digest = policy.digest.slice(0, 12);
    if (kind === "activated") return `the policies were taken: ${digest}`;
    if (kind === "unchanged") return `the policies are as they were: ${digest}`;
    return `the policies have errors and were not taken; ${digest} stays active`;
  } catch (error) {
    return `the policies could not be taken: ${messageOf(error)}`;
  }
}

/** What differs from the configuration that the gateway was started with, and cannot change while it runs. */
function waitingLines(current: Config, next: Config): readonly string[] {
  const changed: string[] = AT_THE_NEXT_START.filter((key) => !isDeepStrictEqual(current[key], next[key]));
  if (!isDeepStrictEqual(current.listeners.map(placeOf), next.listeners.map(placeOf))) changed.push("listen");
  if (!isDeepStrictEqual(current.keys, next.keys)) changed.push("identity.keys");
  return changed.length === 0 ? [] : [`changed and counting at the next start only: ${changed.join(", ")}`];
}

/** A listener without its certificate. */
function placeOf({ tls, ...place }: Listener): object {
  return { ...place, isEncrypted: tls !== "off" };
}
