/** What is asked over SSH, as policy sees it: commands, shells, files, forwards. Pure, and never an exception. */
import { UNKNOWN } from "../../src/core/operation.ts";
import type { Access, Accesses, Facts, Unknown } from "../../src/core/operation.ts";
import { absolutePath, leadsElsewhere } from "./describe/paths.ts";
import { readProgram } from "./describe/program.ts";
import { readScript, type Pipeline, type Redirection, type SimpleCommand } from "./describe/script.ts";
import type { LiteralWord } from "./describe/word.ts";
import { rebuild } from "./rebuild.ts";

export type Described = {
  readonly accesses: Accesses;
  readonly understood: boolean;
  /** One sentence; null when all could be read. */
  readonly notUnderstood: string | null;
};

export type DescribedCommand = Described & {
  /** What is sent: rebuilt from the words that were judged; an opaque one as it came. */
  readonly command: string;
  /** Relative paths were met: describe again when `home` is known. Until then their paths are unknown. */
  readonly needsHome: boolean;
};

export type CommandContext = {
  /** The account on the target. */
  readonly login: string;
  /** The login's home folder, absolute and resolved, where commands begin; null: not known (yet). */
  readonly home: string | null;
  /** What the target declares of its shell; null: nothing, so that no quoting is safe there. */
  readonly shell: "posix" | null;
  readonly hasPty: boolean;
};

/** A file operation of SFTP; `paths` are absolute and resolved. */
export type FileOperation = {
  readonly verb: keyof typeof FILE_CLASSES;
  readonly paths: readonly string[];
};

const FILE_CLASSES = {
  list: ["read"],
  stat: ["read"],
  readlink: ["read"],
  "open-read": ["read", "transfer"],
  "open-write": ["write", "transfer"],
  "open-read-write": ["read", "write", "transfer"],
  rename: ["write"],
  remove: ["write"],
  mkdir: ["write"],
  rmdir: ["write"],
  setstat: ["write"],
  symlink: ["write"],
  hardlink: ["write"],
} as const satisfies Readonly<Record<string, readonly Access["class"][]>>;

export function isFileVerb(text: string): text is FileOperation["verb"] {
  return Object.hasOwn(FILE_CLASSES, text);
}

/** The facts of opening a session. */
export function connectFacts(login: string): Facts {
  return { logins: [login] };
}

export function describeCommand(text: string, context: CommandContext): DescribedCommand {
  const { login, home, shell, hasPty } = context;
  const reading = readScript(text);
  const reader = new CommandReader(login, home, hasPty);
  const pipelines = reader.read(reading.pipelines);
  const why = shell === null ? "the target's shell, which is not declared to be POSIX's" : (reading.why ?? reader.why);
  const { needsHome } = reader;
  const terminal = hasPty ? [terminalAccess(login)] : [];
  if (why !== null) {
    return {
      accesses: [opaqueAccess(login, "exec"), ...reader.accesses, ...terminal],
      understood: false,
      notUnderstood: `The command cannot be read because of ${why}.`,
      command: text,
      needsHome,
    };
  }
  const [first, ...others] = reader.accesses;
  if (first === undefined) throw new Error("a command that was read has an access");
  return {
    accesses: [first, ...others, ...terminal],
    understood: true,
    notUnderstood: null,
    command: rebuild(pipelines),
    needsHome,
  };
}

/** A shell, or a login without a command. What is typed into it cannot be read. */
export function describeShell(login: string, hasPty: boolean): Described {
  return {
    accesses: [opaqueAccess(login, "shell"), ...(hasPty ? [terminalAccess(login)] : [])],
    understood: false,
    notUnderstood: "What is typed into a shell cannot be read as commands.",
  };
}

/** `sftp` itself needs only some permit: its files are judged one by one. */
export function describeSubsystem(login: string, name: string): Described {
  const logins = [login];
  return name === "sftp"
    ? understood([{ class: "read", facts: { channels: ["sftp"], logins }, ambient: true }])
    : understood([{ class: "execute", facts: { channels: ["subsystem"], logins, programs: [name] } }]);
}

export function describeFile(login: string, { verb, paths }: FileOperation): Described {
  const facts: Facts = { channels: ["sftp"], logins: [login], paths };
  const [first, ...others] = FILE_CLASSES[verb];
  return understood([{ class: first, facts }, ...others.map((each): Access => ({ class: each, facts }))]);
}

/** `where`: `host:port`, or the path of a socket; null for those that lead to the client. */
export function describeForward(
  login: string,
  channel: "direct-tcpip" | "tcpip-forward" | "direct-streamlocal" | "streamlocal-forward" | "agent-forward" | "x11",
  where: string | null,
): Described {
  const facts: Facts = { channels: [channel], logins: [login], ...(where === null ? {} : { forwards: [where] }) };
  return understood([{ class: "forward", facts }]);
}

function understood(accesses: Accesses): Described {
  return { accesses, understood: true, notUnderstood: null };
}

/** It may do anything that its login may. */
function opaqueAccess(login: string, channel: "exec" | "shell"): Access {
  return {
    class: "execute",
    facts: { channels: [channel], logins: [login], programs: UNKNOWN, argv: UNKNOWN, paths: UNKNOWN },
    opaque: true,
  };
}

function terminalAccess(login: string): Access {
  return { class: "execute", facts: { channels: ["pty"], logins: [login] } };
}

/** Could a program that expands names itself take it for several? */
function hasPattern(path: string): boolean {
  return path.includes("*") || path.includes("?") || path.includes("[");
}

/** Follows a script's commands in order: where they run, what they run, what they touch. */
class CommandReader {
  readonly accesses: Access[] = [];
  needsHome = false;
  /** Half a sentence on the first command that does not say what it runs. */
  why: string | null = null;
  readonly #login: string;
  readonly #home: string | null;
  readonly #hasPty: boolean;
  /** Where the next command runs; null: not known. */
  #folder: string | null;
  /** No command has changed the folder yet: it is the home, known or not. */
  #isAtHome = true;

  constructor(login: string, home: string | null, hasPty: boolean) {
    this.#login = login;
    this.#hasPty = hasPty;
    this.#home = home;
    this.#folder = home;
  }

  /** The pipelines with the paths that they are judged by. */
  read(pipelines: readonly Pipeline[]): readonly Pipeline[] {
    return pipelines.map((pipeline) => {
      // After a cd that may have failed, nobody knows where what follows runs.
      if (!this.#isAtHome && pipeline.operator !== "&&") this.#folder = null;
      const commands = pipeline.commands.map((command) => this.#command(command));
      const words = commands.find(({ words: [first] }) => first?.value === "cd")?.words;
      if (words !== undefined) this.#changeFolder(pipeline, words[1]?.value);
      return { ...pipeline, commands };
    });
  }

  #changeFolder({ operator, isNegated, commands }: Pipeline, to: string | undefined): void {
    // In a pipeline some shells change the folder of what follows, and others do not.
    if (commands.length > 1 || isNegated) this.why ??= "cd in a pipeline";
    const isSure = operator !== "||" && (to === undefined || to.startsWith("/"));
    const folder = to === undefined ? this.#home : this.#path(to);
    this.#folder = isSure && folder !== UNKNOWN ? folder : null;
    this.#isAtHome = false;
  }

  #command({ words, redirections }: SimpleCommand): SimpleCommand {
    const known = words.map((word) => this.#atHome(word));
    const argv = known.map(({ value }) => value);
    const { why, programs, files, read, written, transfers } = readProgram(argv, this.#hasPty, (word) =>
      this.#path(word),
    );
    this.why ??= why;
    const logins = [this.#login];
    if (why === null) {
      const paths = files === null ? UNKNOWN : this.#paths(files);
      this.accesses.push({ class: "execute", facts: { channels: ["exec"], logins, programs, argv, paths } });
      for (const [kind, touched] of [
        ["read", read],
        ["write", written],
      ] as const) {
        // With its words, so that what permits the command permits what it does by them.
        const facts = { channels: ["exec"], logins, programs, argv };
        if (touched === null) this.accesses.push({ class: kind, facts: { ...facts, paths: UNKNOWN } });
        else if (touched.length > 0)
          this.accesses.push({ class: kind, facts: { ...facts, paths: this.#paths(touched) } });
      }
      for (const { path, class: kind } of transfers) {
        const moved = hasPattern(path) ? UNKNOWN : this.#paths([path]);
        const facts: Facts = { channels: ["exec"], logins, paths: moved };
        this.accesses.push({ class: "transfer", facts }, { class: kind, facts });
      }
    }
    return { words: known, redirections: redirections.map((redirection) => this.#redirection(redirection)) };
  }

  #redirection(redirection: Redirection): Redirection {
    if (redirection.kind === "copy") return redirection;
    const word = this.#atHome(redirection.word);
    const path = this.#path(word.value);
    const last = word.value.slice(word.value.lastIndexOf("/") + 1);
    if (last === "" || last === "." || last === "..") this.why ??= "a redirection to a folder";
    const facts: Facts = { channels: ["exec"], logins: [this.#login], paths: path === UNKNOWN ? UNKNOWN : [path] };
    const { operator } = redirection;
    if (operator !== ">" && operator !== ">>" && operator !== ">|") this.accesses.push({ class: "read", facts });
    if (operator !== "<") this.accesses.push({ class: "write", facts });
    if (path !== UNKNOWN && (path.startsWith("/dev/tcp/") || path.startsWith("/dev/udp/"))) {
      this.why ??= "a network connection (/dev/tcp)";
    }
    return path === UNKNOWN ? { ...redirection, word } : { ...redirection, word: { ...word, value: path } };
  }

  /** `~` as the path that it stands for. */
  #atHome(word: LiteralWord): LiteralWord {
    const { afterHome } = word;
    if (afterHome === null) return word;
    if (this.#home === null) {
      this.needsHome = true;
      this.why ??= "the home folder (~), which is not known";
      return word;
    }
    return { value: `${this.#home}${afterHome}`, isBare: false, afterHome: null };
  }

  #paths(files: readonly string[]): readonly string[] | Unknown {
    const paths = files.map((file) => this.#path(file));
    const known = paths.filter((path) => path !== UNKNOWN);
    return known.length === paths.length ? [...new Set(known)] : UNKNOWN;
  }

  #path(file: string): string | Unknown {
    // Some programs read homes and patterns themselves.
    if (file.startsWith("~")) return UNKNOWN;
    const path = absolutePath(file, this.#folder);
    if (path !== UNKNOWN && leadsElsewhere(path)) return UNKNOWN;
    if (path === UNKNOWN && file !== "" && this.#isAtHome && this.#home === null) this.needsHome = true;
    return path;
  }
}
