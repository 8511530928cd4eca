/** What a request comes to: what policy judges of it, in which words it is recorded, and what the target is asked. */
import type { FileOperation } from "../describe.ts";
import type { OpenHandle } from "./open-handles.ts";
import { below, pathText, quoted, split } from "./paths.ts";
import { type Attributes, writeAttributes, writeString, writeUint64 } from "./protocol/fields.ts";
import type { Status } from "./protocol/replies.ts";
import {
  type Encode,
  encodeExtended,
  encodeOpen,
  encodePath,
  encodeRename,
  encodeSymlink,
  encodeWithAttributes,
  type Request,
} from "./protocol/requests.ts";
import { FX, FXP, OPEN, OPEN_ALL } from "./protocol/types.ts";
import type { ResolvedPath, Resolver } from "./resolver.ts";
import type { ReplyType } from "./target-link.ts";

/** Requests that are judged one by one; the others run under the permit of the handle they name. */
export type JudgedRequest = Exclude<
  Request,
  {
    readonly kind: "close" | "fstat" | "readdir" | "fsync" | "fstatvfs" | "read" | "write" | "limits" | "unsupported";
  }
>;

export type Plan = {
  /** The operation's kind in the record. */
  readonly kind: string;
  /** All of them must be permitted; none: what belongs to every SFTP session. */
  readonly judged: readonly FileOperation[];
  readonly text: string;
  /** What the client gets would show content that a mask could be for. */
  readonly shows: boolean;
  /** Handles that must still be open when it is sent. */
  readonly needs: readonly OpenHandle[];
  /** What is done when it is permitted. open: its reply is a handle, which all of `paths` are judged for. */
  readonly action:
    | { readonly kind: "send"; readonly type: ReplyType; readonly encode: Encode }
    | {
        readonly kind: "open";
        readonly encode: Encode;
        readonly paths: readonly string[];
        readonly read: boolean;
        readonly write: boolean;
        readonly appends: boolean;
        readonly isFolder: boolean;
      }
    | { readonly kind: "answer"; readonly status: Status }
    | { readonly kind: "name"; readonly name: string };
};

/** May it change what a path that comes after it leads to? Then that is not resolved before this one is through. */
export function changesNames(request: JudgedRequest): boolean {
  switch (request.kind) {
    case "open":
      return (request.flags & OPEN.create) !== 0;
    case "opendir":
    case "lstat":
    case "stat":
    case "statvfs":
    case "readlink":
    case "realpath":
    case "expand-path":
    case "home-directory":
    case "users-groups":
    case "copy-data":
      return false;
    default:
      return true;
  }
}

/** Handles by the client's tokens; null: there is none. */
export type FindHandle = (token: Uint8Array) => OpenHandle | null;

const NO_HANDLE: Status = { code: FX.failure, message: "there is no such handle" };

/** Throws PathRefused when it cannot be judged. A request that makes no sense is a status at once. */
export async function planOf(request: JudgedRequest, resolver: Resolver, find: FindHandle): Promise<Plan | Status> {
  if (isNameless(request)) return { code: FX.noSuchFile, message: "a path is empty" };
  switch (request.kind) {
    case "open":
      return openPlan(request, resolver);
    case "opendir": {
      const path = await resolver.resolve(pathText(request.path), "follows");
      return plan("sftp.list", "list", [path], {
        shows: true,
        action: {
          kind: "open",
          encode: encodePath(FXP.opendir, path.resolved),
          paths: names(path),
          read: true,
          write: false,
          appends: false,
          isFolder: true,
        },
      });
    }
    case "stat":
    case "lstat": {
      const path = await resolver.resolve(
        pathText(request.path),
        request.kind === "stat" ? "follows" : itself(request),
      );
      return plan("sftp.stat", "stat", [path], send(FXP.attrs, encodePath(FXP[request.kind], path.resolved)));
    }
    case "statvfs": {
      const path = await resolver.resolve(pathText(request.path), "follows");
      const encode = encodeExtended("statvfs@openssh.com", (writer) => writeString(writer, path.resolved));
      return plan("sftp.stat", "stat", [path], send(FXP.extendedReply, encode));
    }
    case "realpath":
    case "expand-path":
      return namePlan(pathText(request.path), request.kind === "expand-path", resolver);
    case "home-directory":
      return homePlan(pathText(request.login), resolver);
    case "readlink": {
      const path = await resolver.resolve(pathText(request.path), itself(request));
      return plan("sftp.readlink", "readlink", [path], {
        shows: true,
        ...send(FXP.name, encodePath(FXP.readlink, path.resolved)),
      });
    }
    case "remove":
    case "rmdir": {
      const path = await resolver.resolve(pathText(request.path), "stays");
      const encode = encodePath(FXP[request.kind], path.resolved);
      return plan(`sftp.${request.kind}`, request.kind, [path], send(FXP.status, encode));
    }
    case "mkdir": {
      const path = await resolver.resolve(pathText(request.path), "stays");
      const encode = encodeWithAttributes(FXP.mkdir, path.resolved, request.attributes);
      return plan("sftp.mkdir", "mkdir", [path], send(FXP.status, encode), attributeWords(request.attributes));
    }
    case "setstat":
    case "lsetstat": {
      const { attributes } = request;
      const path = await resolver.resolve(
        pathText(request.path),
        request.kind === "setstat" ? "follows" : itself(request),
      );
      const encode =
        request.kind === "setstat"
          ? encodeWithAttributes(FXP.setstat, path.resolved, attributes)
          : encodeExtended("lsetstat@openssh.com", (writer) =>
              writeAttributes(writeString(writer, path.resolved), attributes),
            );
      return plan("sftp.setstat", "setstat", [path], send(FXP.status, encode), attributeWords(attributes));
    }
    case "fsetstat": {
      const handle = find(request.handle);
      if (handle === null) return NO_HANDLE;
      return {
        kind: "sftp.setstat",
        judged: [{ verb: "setstat", paths: handle.paths }],
        text: `setstat ${pathWords(handle.paths)}${attributeWords(request.attributes)}`,
        shows: false,
        needs: [handle],
        ...send(FXP.status, encodeWithAttributes(FXP.fsetstat, handle.target, request.attributes)),
      };
    }
    case "rename":
    case "posix-rename":
      return renamePlan(request.kind, pathText(request.from), pathText(request.to), resolver);
    case "hardlink": {
      const from = await resolver.resolve(pathText(request.from), "stays");
      // Whether the link is to a link or to what that leads to is the target's own affair.
      const followed = await resolver.resolve(pathText(request.from), "follows");
      const to = await resolver.resolve(pathText(request.to), "stays");
      const encode = encodeExtended("hardlink@openssh.com", (writer) =>
        writeString(writeString(writer, from.resolved), to.resolved),
      );
      return plan("sftp.hardlink", "hardlink", [from, { ...followed, failure: null }, to], send(FXP.status, encode));
    }
    case "symlink":
      return symlinkPlan(pathText(request.content), pathText(request.path), resolver);
    case "copy-data":
      return copyPlan(request, find);
    case "users-groups":
      return {
        kind: "sftp.names",
        judged: [],
        text: "names of users and groups by their ids",
        shows: false,
        needs: [],
        ...send(
          FXP.extendedReply,
          encodeExtended("users-groups-by-id@openssh.com", (writer) =>
            writeString(writeString(writer, request.uids), request.gids),
          ),
        ),
      };
  }
}

/** An empty path names nothing; only where a session begins is asked for so. */
function isNameless(request: JudgedRequest): boolean {
  if (request.kind === "realpath" || request.kind === "expand-path") return false;
  const paths =
    "path" in request
      ? [request.path]
      : request.kind === "copy-data" || !("to" in request)
        ? []
        : [request.from, request.to];
  return paths.some((path) => path.length === 0);
}

const SLASH = 0x2f;

/** Even for what does not follow links, a slash at the end says that a folder is meant. */
function itself({ path }: { readonly path: Uint8Array }): "follows" | "stays" {
  return path.at(-1) === SLASH ? "follows" : "stays";
}

/* ---- one kind each ---- */

async function openPlan(
  { path: bytes, flags, attributes }: Extract<JudgedRequest, { kind: "open" }>,
  resolver: Resolver,
): Promise<Plan | Status> {
  if ((flags & ~OPEN_ALL) !== 0) return { code: FX.opUnsupported, message: "a file is opened in a way nobody knows" };
  const changes = OPEN.write | OPEN.append | OPEN.create | OPEN.truncate | OPEN.exclusive;
  const write = (flags & changes) !== 0;
  // What asks for neither is opened for reading by most servers.
  const read = (flags & OPEN.read) !== 0 || (flags & OPEN.write) === 0;
  // An exclusive creation does not follow a link that is there: it fails.
  const isExclusive = (flags & OPEN.create) !== 0 && (flags & OPEN.exclusive) !== 0;
  const path = await resolver.resolve(pathText(bytes), isExclusive ? "stays" : "follows");
  const verb = read && write ? "open-read-write" : write ? "open-write" : "open-read";
  const words = openWords(flags) + attributeWords(attributes);
  return plan(
    "sftp.open",
    verb,
    [path],
    {
      shows: read,
      action: {
        kind: "open",
        encode: encodeOpen(path.resolved, flags, attributes),
        paths: names(path),
        read,
        write,
        appends: (flags & OPEN.append) !== 0,
        isFolder: false,
      },
    },
    words,
  );
}

async function namePlan(path: string, expands: boolean, resolver: Resolver): Promise<Plan | Status> {
  let asked = path === "" ? "." : path;
  if (expands && asked.startsWith("~")) {
    const { tail, isOther } = tilde(asked);
    if (isOther) return { code: FX.opUnsupported, message: "home folders of other accounts are not looked up" };
    asked = tail;
  }
  const found = await resolver.resolve(asked, "exists");
  // Where a session begins belongs to every session.
  const isHome = found.failure === null && found.resolved === resolver.home && found.written === resolver.home;
  const made = plan("sftp.stat", "stat", [found], { action: { kind: "name", name: found.resolved } });
  return isHome ? { ...made, judged: [] } : made;
}

function tilde(path: string): { readonly tail: string; readonly isOther: boolean } {
  if (path === "~") return { tail: ".", isOther: false };
  return { tail: `./${path.slice(2)}`, isOther: !path.startsWith("~/") };
}

function homePlan(login: string, resolver: Resolver): Plan | Status {
  if (login !== "") return { code: FX.opUnsupported, message: "home folders of other accounts are not looked up" };
  return {
    kind: "sftp.stat",
    judged: [],
    text: "home folder",
    shows: false,
    needs: [],
    action: { kind: "name", name: resolver.home },
  };
}

async function renamePlan(
  kind: "rename" | "posix-rename",
  fromPath: string,
  toPath: string,
  resolver: Resolver,
): Promise<Plan> {
  const from = await resolver.resolve(fromPath, "stays");
  const to = await resolver.resolve(toPath, "stays");
  const encode =
    kind === "rename"
      ? encodeRename(from.resolved, to.resolved)
      : encodeExtended("posix-rename@openssh.com", (writer) =>
          writeString(writeString(writer, from.resolved), to.resolved),
        );
  const made = plan("sftp.rename", "rename", [from, to], send(FXP.status, encode));
  const moved = await resolver.kindOf(from);
  // What is in a folder gets another name with it.
  return moved === "folder" || moved === "unknown" ? withContents(made, [from, to]) : made;
}

/** What a link holds is judged as what it leads to from its folder, there or not. */
async function symlinkPlan(content: string, linkPath: string, resolver: Resolver): Promise<Plan> {
  const link = await resolver.resolve(linkPath, "stays");
  const leadsTo = await resolver.resolve(content, "follows", split(link.resolved).folder);
  const made = plan(
    "sftp.symlink",
    "symlink",
    // Where it leads need not be there, and may be any folder.
    [link, { ...leadsTo, failure: null, isNamed: true }],
    send(FXP.status, encodeSymlink(content, link.resolved)),
  );
  // What is in a folder, or in one that is made there later, gets another name by it.
  return (await resolver.kindOf(leadsTo)) === "other" ? made : withContents(made, [link]);
}

function copyPlan(request: Extract<JudgedRequest, { kind: "copy-data" }>, find: FindHandle): Plan | Status {
  const from = find(request.from);
  const to = find(request.to);
  if (from === null || to === null) return NO_HANDLE;
  const { offset, length, toOffset } = request;
  const encode = encodeExtended("copy-data", (writer) => {
    writeUint64(writeUint64(writeString(writer, from.target), offset), length);
    writeUint64(writeString(writer, to.target), toOffset);
  });
  const much = length === 0 ? `from ${offset} on` : `${length} bytes from ${offset} on`;
  return {
    kind: "sftp.copy",
    judged: [
      { verb: "open-read", paths: from.paths },
      { verb: "open-write", paths: to.paths },
    ],
    text: `copy ${pathWords(from.paths)} to ${pathWords(to.paths)}, ${much}, at ${toOffset}`,
    shows: false,
    needs: [from, to],
    ...send(FXP.status, encode),
  };
}

/* ---- in common ---- */

/** They make, move or remove a name. What ends in `.` or `..` has none of its own, and systems differ in what they do then. */
const NAMING: ReadonlySet<FileOperation["verb"]> = new Set([
  "mkdir",
  "rmdir",
  "remove",
  "rename",
  "symlink",
  "hardlink",
]);
const NO_NAME: Status = { code: FX.failure, message: "a path that ends in . or .. cannot be made, moved or removed" };

function plan(
  kind: string,
  verb: FileOperation["verb"],
  paths: readonly ResolvedPath[],
  rest: { readonly shows?: boolean; readonly action: Plan["action"] },
  words = "",
): Plan {
  const isNamed = !NAMING.has(verb) || paths.every((path) => path.isNamed);
  const failure = paths.find((path) => path.failure !== null)?.failure ?? (isNamed ? null : NO_NAME);
  return {
    kind,
    judged: [{ verb, paths: [...new Set(paths.flatMap(names))] }],
    text: `${verb} ${paths.map((path) => pathWords(names(path))).join(" to ")}${words}`,
    shows: rest.shows ?? false,
    needs: [],
    action: failure === null ? rest.action : { kind: "answer", status: failure },
  };
}

/** Judges also what is in folders, whatever it is called there: rules on what is below them are about that too. */
function withContents(made: Plan, folders: readonly ResolvedPath[]): Plan {
  const contents = [...new Set(folders.flatMap(names))].map((path) => below(path, "**"));
  return { ...made, judged: made.judged.map(({ verb, paths }) => ({ verb, paths: [...paths, ...contents] })) };
}

function names({ written, resolved }: ResolvedPath): readonly string[] {
  return written === resolved ? [written] : [written, resolved];
}

/** As it was written, and where it leads when that is elsewhere. */
function pathWords(paths: readonly string[]): string {
  return paths.map(quoted).join(", which is ");
}

function send(type: ReplyType, encode: Encode): { readonly action: Plan["action"] } {
  return { action: { kind: "send", type, encode } };
}

function openWords(flags: number): string {
  const words = Object.entries(OPEN).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]));
  return words.length === 0 ? "" : ` (${words.join(", ")})`;
}

function attributeWords({ size, owner, permissions, times }: Attributes): string {
  const words: string[] = [];
  if (size !== undefined) words.push(`size ${size}`);
  if (owner !== undefined) words.push(`owner ${owner.uid}:${owner.gid}`);
  if (permissions !== undefined) words.push(`mode ${permissions.toString(8).padStart(4, "0")}`);
  if (times !== undefined) words.push(`times ${times.accessed} ${times.modified}`);
  return words.length === 0 ? "" : `, ${words.join(", ")}`;
}
