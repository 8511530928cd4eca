/** What a command is: its words, its arguments, and what it does. */

/** 0: done. 1: refused or failed. 2: usage. Other numbers only from a program that weir ran. */
export type ExitStatus = number;

export type Option = {
  /** Without dashes. */
  readonly name: string;
  /** One letter that stands for it: `o` for `-o`. */
  readonly letter?: string;
  /** The word for its value in the help text; absent: a flag. */
  readonly value?: string;
  /** May stand there several times. */
  readonly repeats?: true;
  readonly description: string;
};

export type Positional = {
  /** The word for it in the help text. */
  readonly name: string;
  readonly description: string;
  /**
   * required: must be there. optional: may be left out. list: any number of words, among which options may stand.
   * rest: everything that follows, read by nobody here.
   */
  readonly kind: "required" | "optional" | "list" | "rest";
};

/** Where a command writes and what surrounds it. */
export type Terminal = {
  /** Writes a line to standard output. */
  out(line: string): void;
  /** Writes a text as it is to standard output. */
  write(text: string): void;
  /** Writes a line to standard error. */
  err(line: string): void;
  /** Shows how far long work is, in place of what was shown before; nothing in a pipe. Empty: no longer. */
  progress(text: string): void;
  /** Resolves when whoever reads standard output has taken enough of it to go on writing. */
  ready(): Promise<void>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTerminal: boolean;
};

/** The arguments of one call, checked against the command's declaration. */
export type Arguments = {
  readonly isJson: boolean;
  /** The value of an option or positional; undefined when it was left out. */
  text(name: string): string | undefined;
  /** The value of a positional that is required. */
  required(name: string): string;
  flag(name: string): boolean;
  /** The values of an option that may stand there several times. */
  all(name: string): readonly string[];
  /** The words of the positional that is a list or the rest. */
  readonly rest: readonly string[];
};

export type Command = {
  /** As typed after `weir`: `["token", "create"]`. */
  readonly words: readonly [string, ...string[]];
  /** One line. */
  readonly summary: string;
  readonly positionals: readonly Positional[];
  readonly options: readonly Option[];
  /** What else the help says: examples, what the JSON looks like. */
  readonly notes: readonly string[];
  run(args: Arguments, terminal: Terminal): Promise<ExitStatus>;
};

/** Refused or failed: one sentence, and what to do next. */
export class CommandError extends Error {
  readonly next: string;
  readonly status: ExitStatus;

  constructor(message: string, next = "", status: ExitStatus = 1) {
    super(message);
    this.next = next;
    this.status = status;
  }
}

/** The call was not understood. */
export class UsageError extends CommandError {
  constructor(message: string, next = "") {
    super(message, next, 2);
  }
}

/** The option that names the configuration. */
export const CONFIG_OPTION: Option = {
  name: "config",
  value: "FILE",
  description: "the configuration; weir.yaml when left out",
};

/** Options that every command has. */
export const SHARED_OPTIONS: readonly Option[] = [
  { name: "json", description: "machine-readable output: one JSON object, or one per line for lists" },
  { name: "help", description: "this text" },
];
