/** The gateway's own question for the settings that decide how a session's texts are read, as messages and their answers. */
import { decodeDataRow } from "./protocol/backend.ts";
import { encodeBind, encodeClose, encodeExecute, encodeFlush, encodeParse, encodeSync } from "./protocol/frontend.ts";
import { PIPELINE_SETTINGS, READING_SETTINGS } from "./reading.ts";
import { ownMessage, type Message } from "./run.ts";

/** A name of the gateway's own at the server; a client that uses it only disturbs itself. */
const HOUSE_STATEMENT = "weir_settings";

export class SettingsQuestion {
  /** It stands in a pipeline that has begun something: no Sync may end it, so what the server reports at one is asked for too. */
  readonly isInPipeline: boolean;
  readonly #names: readonly string[];
  readonly #answers: string[] = [];

  constructor(isInPipeline: boolean) {
    this.isInPipeline = isInPipeline;
    this.#names = isInPipeline ? PIPELINE_SETTINGS : READING_SETTINGS;
  }

  /** For the record. */
  get text(): string {
    return this.#names.map((name) => `SHOW ${name}`).join("; ");
  }

  messages(): Message[] {
    const nothing = { parameterFormats: [], parameters: [], resultFormats: [] };
    const messages = this.#names.flatMap((name) => [
      ownMessage(encodeParse(HOUSE_STATEMENT, `SHOW ${name}`, []), "parse"),
      ownMessage(encodeBind({ portal: HOUSE_STATEMENT, statement: HOUSE_STATEMENT, ...nothing }), "bind"),
      ownMessage(encodeExecute(HOUSE_STATEMENT), "execute"),
      ownMessage(encodeClose("portal", HOUSE_STATEMENT), "close"),
      ownMessage(encodeClose("statement", HOUSE_STATEMENT), "close"),
    ]);
    messages.push(this.isInPipeline ? ownMessage(encodeFlush(), null) : ownMessage(encodeSync(), "sync"));
    return messages;
  }

  row(body: Uint8Array): void {
    const value = decodeDataRow(body)[0];
    this.#answers.push(value === null || value === undefined ? "" : new TextDecoder().decode(value));
  }

  /** By name; null: not all were answered. */
  answers(): ReadonlyMap<string, string> | null {
    if (this.#answers.length !== this.#names.length) return null;
    return new Map(this.#names.map((name, index) => [name, this.#answers[index] ?? ""]));
  }
}
