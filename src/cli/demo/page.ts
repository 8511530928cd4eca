/** How the demo looks: headings, statements, tables of rows, errors as psql shows them; colours on a terminal only. */
import { printable } from "../audit-lines.ts";
import type { Terminal } from "../command.ts";
import type { Reply, Row } from "./tour.ts";
import type { WebVisit } from "./web-tour.ts";

const BOLD = "\u001b[1m";
const DIM = "\u001b[2m";
const RED = "\u001b[31m";
const GREEN = "\u001b[32m";
const PLAIN = "\u001b[0m";
const INDENT = "    ";

export class Page {
  readonly #terminal: Terminal;
  readonly #hasColour: boolean;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    const { env } = terminal;
    this.#hasColour = terminal.isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  }

  heading(text: string): void {
    this.#terminal.out("");
    this.#terminal.out(this.#paint(BOLD, text));
  }

  /** Names beside what they stand for. */
  facts(rows: readonly (readonly [string, string])[]): void {
    const width = Math.max(...rows.map(([name]) => name.length));
    for (const [name, value] of rows) this.#terminal.out(`  ${this.#paint(DIM, name.padEnd(width))}  ${value}`);
  }

  /** What can be copied, under what it does. */
  recipe(purpose: string, ...lines: readonly string[]): void {
    this.#terminal.out(`  ${this.#paint(DIM, purpose)}`);
    for (const line of lines) this.#terminal.out(`${INDENT}${line}`);
  }

  statement(target: string, sql: string): void {
    const [first = "", ...others] = sql.split("\n");
    this.#terminal.out(`${INDENT}${this.#paint(DIM, `${target}=>`)} ${first}`);
    for (const line of others) this.#terminal.out(`${INDENT}${this.#paint(DIM, `${target}->`)} ${line}`);
    this.#terminal.out("");
  }

  reply(reply: Reply): void {
    if ("rows" in reply) {
      for (const line of table(reply.rows)) this.#terminal.out(`${INDENT}${line}`);
      const { length } = reply.rows;
      this.#terminal.out(`${INDENT}${this.#paint(GREEN, length === 1 ? "1 row" : `${length} rows`)}`);
      return;
    }
    const { code, message, detail, hint } = reply.error;
    this.#terminal.out(`${INDENT}${this.#paint(RED, `ERROR ${code}`)}: ${printable(message)}`);
    if (detail !== "") this.#terminal.out(`${INDENT}${this.#paint(DIM, "DETAIL:")} ${printable(detail)}`);
    if (hint !== "") this.#terminal.out(`${INDENT}${this.#paint(DIM, "HINT:")} ${printable(hint)}`);
  }

  /** A command as it is typed, and what it put out; a shell's screen has both in it. */
  session(prompt: string, { command, stdout, stderr, status }: WebVisit): void {
    if (command !== null) {
      this.#terminal.out(`${INDENT}${this.#paint(DIM, prompt)}${printable(command)}`);
      this.#terminal.out("");
    }
    for (const line of linesOf(stdout)) this.#terminal.out(`${INDENT}${printable(line)}`);
    for (const line of linesOf(stderr)) this.#terminal.out(`${INDENT}${this.#paint(RED, printable(line))}`);
    if (status !== 0) this.#terminal.out(`${INDENT}${this.#paint(DIM, `exit status ${status}`)}`);
  }

  line(text: string): void {
    this.#terminal.out(`${INDENT}${text}`);
  }

  #paint(colour: string, text: string): string {
    return this.#hasColour ? `${colour}${text}${PLAIN}` : text;
  }
}

function table(rows: readonly Row[]): string[] {
  const names = Object.keys(rows[0] ?? {});
  const cells = [names, ...rows.map((row) => names.map((name) => printable(String(row[name] ?? ""))))];
  const widths = names.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | "));
  const rule = widths.map((width) => "-".repeat(width)).join("-+-");
  return [lines[0] ?? "", rule, ...lines.slice(1)].map((line) => line.trimEnd());
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.trimEnd().split("\n");
}
