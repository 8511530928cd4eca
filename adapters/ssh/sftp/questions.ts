/** What the gateway itself asks the target, under the permit of the SFTP channel: where paths lead, and how much it takes. */
import type { Permit } from "../../../src/core/ports.ts";
import { pathText } from "./paths.ts";
import { DATA_BYTES_MAX, OPEN_HANDLES_MAX, PACKET_BYTES_MAX } from "./protocol/limits.ts";
import {
  decodeLimits,
  decodeOneName,
  decodePermissions,
  decodeStatus,
  type Limits,
  type Status,
} from "./protocol/replies.ts";
import { encodeExtended, encodePath } from "./protocol/requests.ts";
import { FXP, KIND_BITS, KIND_FOLDER, KIND_SYMLINK } from "./protocol/types.ts";
import type { FileKind, Target } from "./resolver.ts";
import type { ReplyType, TargetLink } from "./target-link.ts";
import type { Encode } from "./protocol/requests.ts";
import type { Packet } from "./protocol/packet-stream.ts";

export class TargetQuestions implements Target {
  readonly #link: TargetLink;
  readonly #permit: Permit;
  /** It has said that it is OpenSSH's, or like it. */
  isOpenSsh = false;

  constructor(link: TargetLink, permit: Permit) {
    this.#link = link;
    this.#permit = permit;
  }

  async realpath(path: string): Promise<string | Status> {
    return this.#ask(FXP.name, encodePath(FXP.realpath, path), (reply) =>
      reply.type === FXP.status ? decodeStatus(reply) : pathText(decodeOneName(reply)),
    );
  }

  async kindOf(path: string): Promise<FileKind> {
    return this.#ask(FXP.attrs, encodePath(FXP.lstat, path), (reply) => {
      if (reply.type === FXP.status) return "none";
      switch ((decodePermissions(reply) ?? 0) & KIND_BITS) {
        case 0:
          return "unknown";
        case KIND_FOLDER:
          return "folder";
        case KIND_SYMLINK:
          return "link";
        default:
          return "other";
      }
    });
  }

  /** What the client is told: the target's limits and the gateway's own, whichever are smaller. */
  async limits(): Promise<Limits | null> {
    return this.#ask(
      FXP.extendedReply,
      encodeExtended("limits@openssh.com", () => {}),
      (reply) => {
        if (reply.type === FXP.status) return null;
        const { packetBytes, readBytes, writeBytes, handles } = decodeLimits(reply);
        return {
          packetBytes: smaller(packetBytes, PACKET_BYTES_MAX),
          readBytes: smaller(readBytes, DATA_BYTES_MAX),
          writeBytes: smaller(writeBytes, DATA_BYTES_MAX),
          handles: smaller(handles, OPEN_HANDLES_MAX),
        };
      },
    );
  }

  /** Rejects with what `read` throws. Never settles when the channel ends before. */
  async #ask<Answer>(type: ReplyType, encode: Encode, read: (reply: Packet) => Answer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#link.send(this.#permit, type, encode, (reply) => {
        try {
          resolve(read(reply));
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }
}

/** 0 says that there is none. */
function smaller(target: number, own: number): number {
  return target === 0 ? own : Math.min(target, own);
}
