/** Paths as texts: what a client may name, and what a name comes to before the target has looked at it. */
import { decodeUtf8 } from "../../../src/wire/reader.ts";
import { WireError } from "../../../src/wire/wire-error.ts";
import { PATH_BYTES_MAX } from "./protocol/limits.ts";

/** A path that cannot be judged; the message ends a sentence that begins with what was asked for. */
export class PathRefused extends Error {
  readonly code = "PATH_REFUSED";
}

/** A path as text, so that equal texts mean equal bytes. Throws PathRefused. */
export function pathText(bytes: Uint8Array): string {
  if (bytes.length > PATH_BYTES_MAX) throw new PathRefused(`its path is longer than ${PATH_BYTES_MAX} bytes`);
  if (bytes.includes(0)) throw new PathRefused("its path holds a NUL");
  try {
    return decodeUtf8(bytes);
  } catch (error) {
    if (error instanceof WireError) throw new PathRefused("its path is not UTF-8");
    throw error;
  }
}

/** `path` below `folder`, which is absolute; as it is when it is absolute itself. */
export function below(folder: string, path: string): string {
  if (path.startsWith("/")) return path;
  return folder.endsWith("/") ? `${folder}${path}` : `${folder}/${path}`;
}

/** An absolute path without `.`, `..`, empty parts and a slash at the end, by its text alone. */
export function normalised(absolute: string): string {
  const parts: string[] = [];
  for (const part of absolute.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** True for what the target itself may call resolved: absolute and normalised. */
export function isNormal(path: string): boolean {
  return path.startsWith("/") && normalised(path) === path;
}

/** The folder of an absolute path and its last part, as they are written; `name` may be `..`, and is empty for the root. */
export function split(absolute: string): { readonly folder: string; readonly name: string } {
  let end = absolute.length;
  while (end > 0 && absolute[end - 1] === "/") end--;
  const slash = absolute.lastIndexOf("/", end - 1);
  return { folder: absolute.slice(0, Math.max(slash, 0)) || "/", name: absolute.slice(slash + 1, end) };
}

/** True for a part that names something in its folder, and not the folder or its parent. */
export function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== "..";
}

/** `/C:/accounts/u`: the target is Windows. */
export function hasDrive(absolute: string): boolean {
  return absolute[2] === ":" && (absolute.length === 3 || absolute[3] === "/");
}

/**
 * Does Windows see more in a path than its text: another folder behind a backslash, a stream behind a colon, the same file
 * without the dots and blanks at a name's end, or its short name (`SECRET~1`)?
 */
export function meansMoreOnWindows(absolute: string): boolean {
  return absolute.split("/").some((part, at) => {
    const isDrive = at === 1 && part.length === 2 && part.endsWith(":");
    if (isDrive || part === "." || part === "..") return false;
    return part.includes("\\") || part.includes(":") || hasShortName(part) || part.endsWith(".") || part.endsWith(" ");
  });
}

/** `~` and a digit. */
function hasShortName(part: string): boolean {
  const digit = part[part.lastIndexOf("~") + 1] ?? "";
  return part.includes("~") && digit >= "0" && digit <= "9";
}

/** For people: in quotes, with everything that is no plain character written out. */
export function quoted(path: string): string {
  return JSON.stringify(path);
}
