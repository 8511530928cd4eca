/** Events that evidence lists by themselves: which file has which. */
export const LISTS: readonly (readonly [file: string, families: readonly string[]])[] = [
  ["policies.jsonl", ["policy.", "config."]],
  ["tokens.jsonl", ["token."]],
  ["logins.jsonl", ["login.", "session.refused"]],
  ["alerts.jsonl", ["alert.", "clock.", "witness.", "ship."]],
  ["unsealing.jsonl", ["recording.unsealed", "recording.shredded", "recording.pruned"]],
  ["gateways.jsonl", ["gateway."]],
];

/** The file that lists an event; null: none does. */
export function listOf(event: string): string | null {
  return LISTS.find(([, families]) => families.some((family) => event.startsWith(family)))?.[0] ?? null;
}
