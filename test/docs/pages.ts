/** The pages that users read, taken apart for tests: fenced blocks, tables, links. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

export type Fence = { readonly language: string; readonly text: string; readonly line: number };

/** Paths from the top of the tree. */
export function pagePaths(): readonly string[] {
  const top = readdirSync(ROOT).filter((name) => name.endsWith(".md"));
  return [
    ...top,
    ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`),
    "adapters/postgres/README.md",
    "adapters/ssh/README.md",
  ];
}

export function readPage(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** What stands between lines of three backticks, with the word after the first ones. */
export function fences(page: string): readonly Fence[] {
  const found: Fence[] = [];
  let open: { language: string; lines: string[]; line: number } | null = null;
  for (const [index, line] of page.split("\n").entries()) {
    if (!line.startsWith("```")) {
      open?.lines.push(line);
    } else if (open === null) {
      open = { language: line.slice(3).trim(), lines: [], line: index + 1 };
    } else {
      found.push({ language: open.language, text: `${open.lines.join("\n")}\n`, line: open.line });
      open = null;
    }
  }
  if (open !== null) throw new Error(`the block of line ${open.line} has no end`);
  return found;
}

/** The rows of the tables whose first header is this, as their cells. */
export function tableRows(page: string, firstHeader: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let isWithin = false;
  for (const line of page.split("\n")) {
    if (!line.startsWith("|")) {
      isWithin = false;
      continue;
    }
    const cells = cellsOf(line);
    if (cells[0] === firstHeader) isWithin = true;
    else if (isWithin && !(cells[0] ?? "").startsWith("---")) rows.push(cells);
  }
  return rows;
}

/** What is within backticks may hold `\|`. */
function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/u)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** Targets of links to files of the tree, without their fragment. */
export function fileLinks(page: string): readonly string[] {
  return [...page.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/gu)]
    .map((match) => match[1] ?? "")
    .filter((target) => !target.includes("://"));
}
