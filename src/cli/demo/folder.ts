/** The folder that a demo lives in: a temporary one that goes with it, or one that stays. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CommandError } from "../command.ts";
import { EXAMPLE_POLICIES } from "./policies.ts";
import { SHOP_DATABASE, SHOP_ROLE } from "./postgres.ts";
import { giveTo } from "./server-account.ts";
import type { ServerAccount } from "./server-account.ts";

/** By this line the demo knows a folder of its own again. */
const MARK = "# Written by `weir demo`, which writes it again at each start.";
const FOLDER_MODE = 0o755;
/** The gateway's usual one. */
export const PORT = 6432;
/** What the kernel takes as the address of a local socket, less the name of the file (unix(7)). */
const SOCKET_FOLDER_BYTES_MAX = 107 - "/.s.PGSQL.5432".length;

export class DemoFolder {
  readonly path: string;
  readonly isKept: boolean;
  readonly configFile: string;
  readonly policies: string;
  /** The gateway's: the log, tokens, keys. */
  readonly data: string;
  /** The server's. */
  readonly postgres: string;
  readonly socket: string;

  private constructor(path: string, isKept: boolean) {
    this.path = path;
    this.isKept = isKept;
    this.configFile = join(path, "weir.yaml");
    this.policies = join(path, "policies");
    this.data = join(path, "data");
    this.postgres = join(path, "postgres");
    this.socket = join(path, "socket");
  }

  /** A new folder that remove() removes; or, when one is named, that one, which must be empty or a demo's. */
  static make(named: string | undefined, account: ServerAccount): DemoFolder {
    const folder =
      named === undefined
        ? new DemoFolder(mkdtempSync(join(tmpdir(), "weir-demo-")), false)
        : new DemoFolder(resolve(named), true);
    try {
      folder.#fill(account);
    } catch (error) {
      folder.remove();
      throw error;
    }
    return folder;
  }

  /** Writes the configuration, for a gateway on this port (0: any free one). */
  writeConfiguration(port: number): void {
    const text = `${MARK}
name: demo.localhost
data: ./data
policies: ./policies
listen:
  postgres: { host: 127.0.0.1, port: ${port}, tls: auto }
targets:
  shop:
    postgres: { host: ${JSON.stringify(this.socket)}, database: ${SHOP_DATABASE}, user: ${SHOP_ROLE} }
    labels: { env: demo }
limits: { drainTime: 5s }
`;
    writeFileSync(this.configFile, text);
  }

  /** Leaves nothing behind, unless the folder was named by somebody. */
  remove(): void {
    if (!this.isKept) rmSync(this.path, { recursive: true, force: true });
  }

  #fill(account: ServerAccount): void {
    if (Buffer.byteLength(this.socket) > SOCKET_FOLDER_BYTES_MAX) {
      throw new CommandError(
        `${this.socket} is too long for a local socket`,
        this.isKept ? "Name a shorter folder with --data." : "Set TMPDIR to a folder with a shorter path.",
      );
    }
    mkdirSync(this.path, { recursive: true, mode: FOLDER_MODE });
    this.#refuseForeign();
    // First of all, so that what fails after it can be tried again in this folder.
    this.writeConfiguration(PORT);
    // The server's account must be able to pass through; the secrets lie in `data`, which weir closes.
    if (!this.isKept) chmodSync(this.path, FOLDER_MODE);
    mkdirSync(this.socket, { recursive: true, mode: FOLDER_MODE });
    giveTo(account, this.socket);
    // Policies that are there may have been changed, and stay as they are.
    if (existsSync(this.policies)) return;
    for (const [path, text] of Object.entries(EXAMPLE_POLICIES)) {
      const file = join(this.policies, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  #refuseForeign(): void {
    if (!this.isKept || readdirSync(this.path).length === 0) return;
    if (existsSync(this.configFile) && readFileSync(this.configFile, "utf8").startsWith(MARK)) return;
    throw new CommandError(
      `${this.path} holds something that is not a demo's`,
      "Name a folder with --data that is empty, that is not there yet, or that an earlier demo made.",
    );
  }
}
