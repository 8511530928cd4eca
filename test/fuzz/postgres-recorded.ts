/** Whether a gateway's log has an intent for everything that the server says it ran, in the same order. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { unseenText } from "../../adapters/postgres/unseen.ts";
import type { IntentLeaf, Leaf } from "../../src/audit/entry.ts";
import { LogReader } from "../../src/audit/query.ts";
import type { Gateway } from "../gateway.ts";

/** What the server's settings must be, so that its log can be read here. */
export const SERVER_LOG_SETTINGS = { log_statement: "all", log_line_prefix: "%a|" } as const;

/** A statement in the server's log, and how the gateway may have recorded it. */
type Ran = { readonly words: string; readonly hashes: readonly string[] };

/** Reads a server's log for the statements of one session, in order, but for the gateway's own. */
export function statementsRun(serverLog: string, application: string): Ran[] {
  const found: Ran[] = [];
  for (const line of serverLog.split("\n")) {
    if (!line.startsWith(`${application}|`)) continue;
    const ran = statementOf(line);
    if (ran !== null) found.push(ran);
  }
  return found;
}

function statementOf(line: string): Ran | null {
  const [, simple] = /LOG: {2}statement: (.*)$/u.exec(line) ?? [];
  if (simple !== undefined) return { words: simple, hashes: [sha256(simple)] };

  const [, call, oid] = /LOG: {2}fastpath function call: "(.*)" \(OID (\d+)\)$/u.exec(line) ?? [];
  if (call !== undefined) {
    // By its name, if the gateway knew that already.
    const texts = [`(function call of pg_catalog.${call})`, `(function call of ${oid})`];
    return { words: `function call of ${call}`, hashes: texts.map(sha256) };
  }

  const [, name = "", words = ""] = /LOG: {2}execute (?:fetch from )?(\S+?): (.*)$/u.exec(line) ?? [];
  // A portal that has failed may be run once more, in vain and without a text.
  if (words === "" || name.startsWith("weir_settings")) return null;
  // A portal that a failed Query might have replaced, and has not, is one that the gateway has not seen.
  const portal = name.split("/")[1] ?? "";
  return { words, hashes: [sha256(words), sha256(unseenText("portal", portal))] };
}

function sha256(words: string): string {
  return createHash("sha256").update(words).digest("hex");
}

/** Follows the log of one gateway, whose sessions come one after the other. */
export class GatewayLog {
  readonly #reader: LogReader;
  #leaves: Leaf[] = [];
  #read = 0;

  constructor(gateway: Gateway) {
    this.#reader = LogReader.open(join(gateway.folder, "data"));
  }

  close(): void {
    this.#reader.close();
  }

  /** The intents of the session with this application_name, in order; waits until its end is in the log. */
  async session(application: string): Promise<IntentLeaf[]> {
    const opening = sha256(`postgres db user=postgres application_name=${application}`);
    for (;;) {
      await this.#readOn();
      const intents = this.#leaves.filter((leaf) => leaf.shape === "intent");
      const connect = intents.find(
        ({ operation, textSha256 }) => operation.kind === "connect" && textSha256 === opening,
      );
      const end = this.#leaves.find((leaf) => leaf.shape === "outcome" && leaf.intent === connect?.index);
      if (connect !== undefined && (end !== undefined || connect.outcome !== undefined)) {
        this.#leaves = [];
        return intents.filter(({ session }) => session.id === connect.session.id);
      }
      await Bun.sleep(2);
    }
  }

  async #readOn(): Promise<void> {
    const size = await this.#reader.size();
    const indices = Array.from({ length: size - this.#read }, (_, index) => this.#read + index);
    for (const { leaf } of await this.#reader.entries(indices)) this.#leaves.push(leaf);
    this.#read = size;
  }
}

/** The first statement that the server ran and that has no intent in its place; null: there is none. */
export function unrecorded(ran: readonly Ran[], intents: readonly IntentLeaf[]): string | null {
  const permitted = intents.filter(({ event }) => event === "operation.intent");
  let at = 0;
  for (const { words, hashes } of ran) {
    const found = permitted.findIndex((leaf, index) => index >= at && hashes.includes(leaf.textSha256));
    if (found < 0) return words;
    at = found + 1;
  }
  return null;
}
