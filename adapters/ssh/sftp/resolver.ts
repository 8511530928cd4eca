/** Where a path leads on the target: asked of the target itself (REALPATH), because only it knows its links. */
import { below, hasDrive, isNormal, isPlainName, meansMoreOnWindows, normalised, PathRefused, split } from "./paths.ts";
import { PATH_BYTES_MAX, UNRESOLVED_FOLDERS_MAX } from "./protocol/limits.ts";
import type { Status } from "./protocol/replies.ts";

/** The last part is followed where it is a link (also when it need not be there), or is what is meant. */
export type Following = "follows" | "exists" | "stays";

export type ResolvedPath = {
  /** As the client wrote it: absolute and normalised by its text. */
  readonly written: string;
  /** Where it leads: what is sent. */
  readonly resolved: string;
  /** The target cannot follow it: what it says of that. Nothing is to be sent then; what could be resolved is judged. */
  readonly failure: Status | null;
  /** Its last part names something in its folder; false: it is the root, or ends in `.` or `..`. */
  readonly isNamed: boolean;
};

/** The gateway's own questions to the target. */
export interface Target {
  /** The canonical path, or what the target says instead. Throws PathRefused for a name that cannot be read. */
  realpath(path: string): Promise<string | Status>;
  kindOf(path: string): Promise<FileKind>;
}

/** What a name stands for. none: nothing, as far as the target says. unknown: it does not say what. */
export type FileKind = "folder" | "link" | "other" | "none" | "unknown";

export class Resolver {
  readonly #target: Target;
  readonly #home: string;

  /** `home`: the folder that relative paths begin in, absolute. */
  constructor(target: Target, home: string) {
    this.#target = target;
    this.#home = home;
  }

  get home(): string {
    return this.#home;
  }

  /** Of what is at a resolved path itself, also when it is a link. */
  async kindOf({ resolved }: ResolvedPath): Promise<FileKind> {
    return this.#target.kindOf(resolved);
  }

  /** `folder`: what a relative path is relative to; left out: the home. Throws PathRefused. */
  async resolve(path: string, following: Following, folder: string = this.#home): Promise<ResolvedPath> {
    const absolute = below(folder, path);
    if (Buffer.byteLength(absolute) > PATH_BYTES_MAX) throw new PathRefused("its path is too long");
    if (hasDrive(this.#home) && meansMoreOnWindows(absolute)) {
      throw new PathRefused("its path has in it what Windows reads as another name");
    }
    const { folder: parent, name } = split(absolute);
    const isNamed = isPlainName(name);
    const stays = following === "stays" && isNamed;
    const asked = stays ? parent : absolute;
    const answer = await this.#realpath(asked);
    const written = normalised(absolute);
    if (typeof answer !== "string") {
      const last = stays ? name : null;
      return { ...(await this.#unresolved(written, asked, last, following === "follows", answer)), isNamed };
    }
    return { written, resolved: stays ? below(answer, name) : answer, failure: null, isNamed };
  }

  /**
   * Goes up until the target knows a folder, so that what is judged leads there too. What does not exist itself while
   * its folder does may be made: some targets resolve only what is there.
   */
  async #unresolved(
    written: string,
    asked: string,
    last: string | null,
    mayBeMissing: boolean,
    failure: Status,
  ): Promise<Omit<ResolvedPath, "isNamed">> {
    const rest = last === null ? [] : [last];
    let at = asked;
    for (let steps = 1; steps <= UNRESOLVED_FOLDERS_MAX; steps++) {
      const { folder, name } = split(at);
      if (name === "") break;
      rest.unshift(name);
      at = folder;
      const answer = await this.#realpath(at);
      if (typeof answer !== "string") continue;
      const resolved = normalised(below(answer, rest.join("/")));
      const mayBeMade = mayBeMissing && steps === 1 && isPlainName(name);
      // A link that leads nowhere could lead somewhere by the time it is followed.
      if (mayBeMade && (await this.#target.kindOf(resolved)) !== "link") return { written, resolved, failure: null };
      return { written, resolved, failure };
    }
    throw new PathRefused("its path cannot be resolved");
  }

  async #realpath(path: string): Promise<string | Status> {
    const answer = await this.#target.realpath(path);
    if (typeof answer === "string" && !isNormal(answer)) throw new PathRefused("its path leads to no absolute path");
    return answer;
  }
}
