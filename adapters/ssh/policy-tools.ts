/** What the tools of policy get from the SSH adapter: commands, files, shells and forwards read without a target. */
import { refusal } from "../../src/core/decision.ts";
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access } from "../../src/core/operation.ts";
import type { CatalogTarget, DescribedText, DescribeOptions, PolicyTools } from "../../src/core/policy-tools.ts";
import { absolutePath } from "./describe/paths.ts";
import {
  connectFacts,
  describeCommand,
  describeFile,
  describeForward,
  describeShell,
  isFileVerb,
  type CommandContext,
  type Described,
  type FileOperation,
} from "./describe.ts";
import { settingsOf } from "./settings.ts";

const TEXTS_MAX = 100;
const TEXT_CHARS_MAX = 8_192;

/** What a target's catalog keeps of SSH: how commands are read there. */
type TargetDetail = { readonly login: string | null; readonly shell: CommandContext["shell"] };

/** Nothing was pulled: authors test what they write for a shell that weir can speak to. */
const UNKNOWN_DETAIL: TargetDetail = { login: null, shell: "posix" };

/** sftp's own words for what a case may do with a file. */
const SFTP_WORDS: Readonly<Record<string, FileOperation["verb"]>> = {
  get: "open-read",
  put: "open-write",
  ls: "list",
  rm: "remove",
  ln: "hardlink",
  chmod: "setstat",
};

/** A sentence for people on a value that is none of the forms that a case may have. */
type Fault = string;

export const sshPolicyTools: PolicyTools = {
  texts: ["exec", "sftp", "shell", "forward"],
  async describe(key, value, catalog, { place }) {
    const { login: usual, shell } = detailOf(catalog);
    const login = place ?? usual;
    if (login === null) {
      return refusal("not_understood", `it is not known which account ${key} is for`, {
        hint: "Write target: TARGET.LOGIN.",
      });
    }
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (values.length === 0 || values.length > TEXTS_MAX) {
      return refusal("protocol", `${key} is one or a list of at most ${TEXTS_MAX}`);
    }
    const described: DescribedText[] = [];
    for (const each of values) {
      const one = read(key, each, login, shell);
      if (typeof one === "string") return refusal("protocol", one);
      const { text, accesses, understood, notUnderstood } = one;
      described.push({ text, accesses, understood, notUnderstood });
    }
    return described;
  },
  connect: (catalog, { place }: DescribeOptions): Access => {
    const login = place ?? detailOf(catalog).login;
    return { class: "connect", facts: login === null ? {} : connectFacts(login), ambient: true };
  },
  async pull(_door, target) {
    const { user, logins, shell } = settingsOf(target);
    return {
      names: { logins: [...new Set([user, ...logins.filter((login) => login !== "*")])].toSorted() },
      unlisted: logins.includes("*") ? { logins: ["**"] } : {},
      detail: { login: user, shell },
    };
  },
};

type ReadCase = Described & { readonly text: string };

function read(key: string, value: unknown, login: string, shell: CommandContext["shell"]): ReadCase | Fault {
  switch (key) {
    case "exec":
      return readCommand(value, login, shell);
    case "sftp":
      return readFile(value, login);
    case "shell":
      if (value !== "pty" && value !== "plain") return "shell is pty or plain";
      return { text: value, ...describeShell(login, value === "pty") };
    case "forward":
      if (typeof value !== "string" || !isEndpoint(value)) return "forward is HOST:PORT";
      return { text: value, ...describeForward(login, "direct-tcpip", value) };
    default:
      return `${key} cannot be read for targets of ssh`;
  }
}

/** A text, or `{ command, pty: true }`. */
function readCommand(value: unknown, login: string, shell: CommandContext["shell"]): ReadCase | Fault {
  const { command, pty = false } = isMap(value) ? value : { command: value };
  if (typeof command !== "string" || typeof pty !== "boolean") {
    return "exec is a command, or { command: TEXT, pty: true }";
  }
  if (command.length > TEXT_CHARS_MAX) return `a command in a test has at most ${TEXT_CHARS_MAX} characters`;
  return { text: command, ...describeCommand(command, { login, home: null, shell, hasPty: pty }) };
}

/** `get /path`, `rename /from /to`; or `{ verb, path }`, `{ verb, paths }` for paths with blanks. */
function readFile(value: unknown, login: string): ReadCase | Fault {
  const form = "sftp is VERB PATH, such as get /path, or { verb: VERB, path: PATH }";
  let words: readonly unknown[];
  if (typeof value === "string") words = value.split(" ").filter((word) => word !== "");
  else if (isMap(value)) {
    const paths: unknown = value["paths"] ?? value["path"];
    const listed: readonly unknown[] = Array.isArray(paths) ? paths : [paths];
    words = [value["verb"], ...listed];
  } else return form;
  const [verb, ...paths] = words;
  if (typeof verb !== "string") return form;
  const known = Object.hasOwn(SFTP_WORDS, verb) ? SFTP_WORDS[verb] : verb;
  if (known === undefined || !isFileVerb(known)) return `sftp knows no ${verb}`;
  const absolute: string[] = [];
  for (const path of paths) {
    const resolved = typeof path === "string" && path.startsWith("/") ? absolutePath(path, null) : UNKNOWN;
    if (resolved === UNKNOWN) return "paths of sftp are absolute";
    absolute.push(resolved);
  }
  const wanted = known === "rename" || known === "symlink" || known === "hardlink" ? 2 : 1;
  if (absolute.length !== wanted) return `sftp ${verb} has ${wanted === 1 ? "one path" : "two paths"}`;
  return { text: [verb, ...absolute].join(" "), ...describeFile(login, { verb: known, paths: absolute }) };
}

function isEndpoint(text: string): boolean {
  const colon = text.lastIndexOf(":");
  const port = Number(text.slice(colon + 1));
  return colon > 0 && Number.isInteger(port) && port > 0 && port <= 65_535;
}

function detailOf(catalog: CatalogTarget | null): TargetDetail {
  const detail = catalog?.detail;
  if (!isMap(detail)) return UNKNOWN_DETAIL;
  const { login, shell } = detail;
  return { login: typeof login === "string" ? login : null, shell: shell === "posix" ? shell : null };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
