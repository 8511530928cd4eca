/** Paths as policy sees them: absolute, without `.`, `..` and doubled slashes, where that can be known from the words alone. */
import { UNKNOWN } from "../../../src/core/operation.ts";
import type { Unknown } from "../../../src/core/operation.ts";

/** `folder`: where the command is when it runs; null: not known. Unknown: the path depends on what is not known. */
export function absolutePath(path: string, folder: string | null): string | Unknown {
  if (path === "") return UNKNOWN;
  if (path.startsWith("/")) return normalised(path);
  return folder === null ? UNKNOWN : normalised(`${folder}/${path}`);
}

/** The path without `.`, `..` and doubled slashes; best effort where `..` follows a symbolic link. */
function normalised(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") segments.pop();
    else segments.push(segment);
  }
  return `/${segments.join("/")}`;
}

/** Parts of a process that Linux shows as links to files and folders of any other name. */
const PROCESS_LINKS: ReadonlySet<string> = new Set(["root", "cwd", "exe", "fd", "map_files", "task"]);

/**
 * Does a path surely lead to another one (`/proc/self/root/etc/shadow`), on every Linux and without anybody having made
 * a link? `path` is absolute and normalised.
 */
export function leadsElsewhere(path: string): boolean {
  const [, top = "", process, part = ""] = path.split("/");
  if (top === "dev") return process === "fd";
  return top === "proc" && PROCESS_LINKS.has(part);
}

/** Does a word go down a path and up again (`/var/log/../../etc`)? What it looks like is then not where it leads. */
export function turnsBack(word: string): boolean {
  if (!word.includes("/..")) return false;
  let hasGoneDown = false;
  for (const segment of word.split("/")) {
    if (segment === "..") {
      if (hasGoneDown) return true;
    } else if (segment !== ".") hasGoneDown = true;
  }
  return false;
}

/**
 * Could a file be a device or a part of a process: the command's input, or the shell itself (`/dev/stdin`,
 * `/proc/self/exe`)? `path` is what the word stands for; unknown: as far as the word tells.
 */
export function mayBeDevice(word: string, path: string | Unknown): boolean {
  if (path !== UNKNOWN) return path.startsWith("/dev/") || path.startsWith("/proc/");
  const segments = word.split("/");
  const last = segments.at(-1) ?? "";
  const isNumber = Number.isInteger(Number(last));
  return last === "stdin" || last === "exe" || isNumber || segments.some((each) => DEVICE_SEGMENTS.has(each));
}

const DEVICE_SEGMENTS: ReadonlySet<string> = new Set(["..", "dev", "proc", "fd", "self"]);
