/** Names and lists of names, for the naive engine. */
import { SETS } from "../policy-world.ts";

/** A `*` matches any text without one of the `stops`; `**` any text; `hidden`: neither matches a dot that begins a segment. */
export function globMatches(pattern: string, name: string, stops: string, hidden = false, before = "/"): boolean {
  if (pattern === "") return name === "";
  const next = name.charAt(0);
  const mayEat = name !== "" && !(hidden && next === "." && before === "/");
  if (pattern.startsWith("**")) {
    return (
      globMatches(pattern.slice(2), name, stops, hidden, before) ||
      (mayEat && globMatches(pattern, name.slice(1), stops, hidden, next))
    );
  }
  if (pattern.startsWith("*")) {
    return (
      globMatches(pattern.slice(1), name, stops, hidden, before) ||
      (mayEat && !stops.includes(next) && globMatches(pattern, name.slice(1), stops, hidden, next))
    );
  }
  return name !== "" && pattern.charAt(0) === next && globMatches(pattern.slice(1), name.slice(1), stops, hidden, next);
}

export function listed(
  name: string,
  list: readonly string[],
  matches: (text: string, name: string) => boolean,
): boolean {
  return list.some((text) =>
    text.startsWith("$") ? listed(name, SETS[text.slice(1)] ?? [], matches) : matches(text, name),
  );
}

export const nameMatches = (text: string, name: string): boolean => globMatches(text, name, "./");
