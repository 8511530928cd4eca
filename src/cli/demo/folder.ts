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
import { GOVERNED_ROLE, SHOP_DATABASE, SHOP_ROLE } from "./postgres.ts";
import { giveTo } from "./server-account.ts";
import type { ServerAccount } from "./server-account.ts";
import { WEB_TARGET } from "./web-server.ts";
import type { WebServerAddress } from "./web-server.ts";

/** By this line the demo knows a folder of its own again. */
const MARK = "# Written by `weir demo`, which writes it again at each start.";
const FOLDER_MODE = 0o755;
/** The gateway's listeners; 0: any free port. */
export type Ports = { readonly postgres: number; readonly ssh: number };
export const USUAL_PORTS: Ports = { postgres: 6432, ssh: 6422 };
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
  /** The web server's. */
  readonly web: string;

  private constructor(path: string, isKept: boolean) {
    this.path = path;
    this.isKept = isKept;
    this.configFile = join(path, "weir.yaml");
    this.policies = join(path, "policies");
    this.data = join(path, "data");
    this.postgres = join(path, "postgres");
    this.socket = join(path, "socket");
    this.web = join(path, "web");
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

  /** Writes the configuration, for a gateway on these ports; `web` null: there is no web server, and nothing of SSH. */
  writeConfiguration({ postgres, ssh }: Ports, web: WebServerAddress | null): void {
    const text = `${MARK}
name: demo.localhost
data: ./data
policies: ./policies
listen:
  postgres: { host: 127.0.0.1, port: ${postgres}, tls: auto }
${web === null ? "" : `  ssh: { host: 127.0.0.1, port: ${ssh} }\n`}targets:
  shop:
    postgres: { host: ${JSON.stringify(this.socket)}, database: ${SHOP_DATABASE}, user: ${SHOP_ROLE} }
    labels: { env: demo }
    # PostgreSQL itself keeps masked columns from this login. \`weir targets prepare shop\` makes it, and the demo has run that.
    masking: { mode: guarded, user: ${GOVERNED_ROLE} }
  shop-trial:
    # The same database without anything prepared in it: weaker, for a first look.
    postgres: { host: ${JSON.stringify(this.socket)}, database: ${SHOP_DATABASE}, user: ${SHOP_ROLE} }
    labels: { env: demo }
    masking: { mode: inline }
${web === null ? "" : webTarget(web)}limits: { drainTime: 5s }
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
    this.writeConfiguration(USUAL_PORTS, null);
    // The server's account must be able to pass through; the secrets lie in `data`, which weir closes.
    if (!this.isKept) chmodSync(this.path, FOLDER_MODE);
    mkdirSync(this.socket, { recursive: true, mode: FOLDER_MODE });
    giveTo(account, this.socket);
    mkdirSync(this.web, { recursive: true, mode: FOLDER_MODE });
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

function webTarget({ port, user, keyFile, hostKey }: WebServerAddress): string {
  const [userText, keyText, hostKeyText] = [user, keyFile, hostKey].map((value) => JSON.stringify(value));
  return `  ${WEB_TARGET}:
    # Its shell is a POSIX one: commands can be judged word by word.
    ssh: { host: 127.0.0.1, port: ${port}, user: ${userText}, key: { file: ${keyText} }, hostKeys: [${hostKeyText}], shell: posix }
    labels: { env: demo, role: web }
`;
}
