/** The startup parameters of a governed session: which a client may choose, and the pins that decide how its texts are read. */
import { refusal, type Refusal } from "../../../src/core/decision.ts";
import type { StartupParameter } from "../protocol/startup.ts";
import { joinSearchPath } from "../search-path.ts";

/** Lower-case names of settings that change nothing about what a text reads. */
const CLIENTS_OWN: ReadonlySet<string> = new Set([
  "application_name",
  "bytea_output",
  "client_min_messages",
  "datestyle",
  "default_transaction_deferrable",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "extra_float_digits",
  "fallback_application_name",
  "geqo",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "intervalstyle",
  "jit",
  "lock_timeout",
  "statement_timeout",
  "timezone",
  "transaction_timeout",
  "work_mem",
]);
/** Settings that are pinned, by lower-case name, with the spellings of the pinned value that a client may ask for. */
const PINNED: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["client_encoding", new Set(["utf8", "utf-8", "unicode"])],
  ["standard_conforming_strings", new Set(["on", "true", "yes", "1"])],
]);
/** The schema of temporary relations comes last, or a temporary relation could stand in for another. */
const TEMPORARY_SCHEMA = "pg_temp";

/**
 * What to log in with: what the client may choose, then the pins. As settings of the startup packet they survive RESET
 * and DISCARD, and the last one counts. `searchPath` null: the server's default stays.
 */
export function governedStartup(
  parameters: readonly StartupParameter[],
  searchPath: readonly string[] | null,
): readonly StartupParameter[] | Refusal {
  for (const [name, value] of parameters) {
    const settings = name === "options" ? settingsOfOptions(value) : [[name, value] as const];
    if (settings === null) return refusedOptions();
    const refused = settings.find(([setting, wanted]) => !mayChoose(setting, wanted));
    if (refused !== undefined) return refusedSetting(refused[0]);
  }
  const pins: StartupParameter[] = [
    ["client_encoding", "UTF8"],
    ["standard_conforming_strings", "on"],
  ];
  if (searchPath !== null) pins.push(["search_path", joinSearchPath(pinnedPath(searchPath))]);
  return [...parameters, ...pins];
}

/** All that search_path is pinned to. */
export function pinnedPath(searchPath: readonly string[]): readonly string[] {
  return [...searchPath, TEMPORARY_SCHEMA];
}

function mayChoose(name: string, value: string): boolean {
  const setting = name.toLowerCase();
  return CLIENTS_OWN.has(setting) || (PINNED.get(setting)?.has(value.toLowerCase()) ?? false);
}

function refusedSetting(name: string): Refusal {
  return refusal(
    "denied",
    `the setting "${name}" cannot be chosen where columns are masked: it is fixed by the gateway`,
    {
      hint: "Leave it out of the connection's parameters and options.",
    },
  );
}

function refusedOptions(): Refusal {
  return refusal("denied", "these startup options cannot be read", {
    hint: "Where columns are masked, options may only hold settings as `-c name=value` or `--name=value`.",
  });
}

/**
 * The settings of the `options` parameter; null when it holds anything else. Words are separated by blanks, and a
 * backslash takes the next character as it is (pg_split_opts of the server).
 */
function settingsOfOptions(options: string): (readonly [string, string])[] | null {
  const settings: (readonly [string, string])[] = [];
  const words = wordsOf(options);
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    let setting: string;
    if (word === "-c") setting = words[++at] ?? "";
    else if (word.startsWith("-c")) setting = word.slice(2);
    else if (word.startsWith("--")) setting = word.slice(2);
    else return null;
    const equals = setting.indexOf("=");
    if (equals <= 0) return null;
    // The server takes dashes for underscores in names of long options.
    settings.push([setting.slice(0, equals).replaceAll("-", "_"), setting.slice(equals + 1)]);
  }
  return settings;
}

const BLANKS: ReadonlySet<string> = new Set([" ", "\t", "\n", "\v", "\f", "\r"]);

function wordsOf(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (BLANKS.has(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (character === "\\") word = (word ?? "") + (text[++at] ?? "");
    else word = (word ?? "") + character;
  }
  if (word !== null) words.push(word);
  return words;
}
