/** Keys of recordings, made ahead of their use by a process of their own (key-child.ts). */
import * as v from "valibot";
import { keyChildCommand } from "./key-child.ts";
import type { SessionKey } from "./seal.ts";

const KEYS_MADE = 16;
/** With fewer left, more are made. */
const KEYS_MIN = 8;
const MAKING_MS_MAX = 5_000;

const keySchema = v.object({
  recipient: v.pipe(v.string(), v.startsWith("age1")),
  wrapped: v.pipe(v.string(), v.base64()),
});

export class KeyPool {
  readonly #auditors: readonly string[];
  readonly #command: readonly string[];
  readonly #keys: SessionKey[] = [];
  #making: Promise<void> | null = null;

  /** `auditors` are the recipients that keys are wrapped to; none: there are no keys. */
  constructor(auditors: readonly string[], command: readonly string[] = keyChildCommand()) {
    this.#auditors = auditors;
    this.#command = command;
    if (auditors.length > 0) this.#fill();
  }

  /** A key that nothing else uses; null when nothing is sealed. Rejects when none can be made. */
  async take(): Promise<SessionKey | null> {
    if (this.#auditors.length === 0) return null;
    if (this.#keys.length === 0) await (this.#making ?? this.#make());
    const key = this.#keys.shift();
    if (key === undefined) throw new Error("the process that makes keys made none");
    if (this.#keys.length < KEYS_MIN) this.#fill();
    return key;
  }

  /** Makes more unless that is under way; whoever needs one and finds none hears why. */
  #fill(): void {
    if (this.#making === null) void this.#make().catch(() => undefined);
  }

  #make(): Promise<void> {
    const making = this.#run().finally(() => {
      this.#making = null;
    });
    this.#making = making;
    return making;
  }

  async #run(): Promise<void> {
    // No environment: it may hold credentials, and the child needs none.
    const child = Bun.spawn([...this.#command, String(KEYS_MADE), ...this.#auditors], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      env: {},
      timeout: MAKING_MS_MAX,
      killSignal: "SIGKILL",
    });
    const [text, status] = await Promise.all([child.stdout.text(), child.exited]);
    if (status !== 0) throw new Error(`the process that makes keys ended with ${status}`);
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const { recipient, wrapped } = v.parse(keySchema, JSON.parse(line));
      this.#keys.push({ recipient, wrapped: Buffer.from(wrapped, "base64") });
    }
  }
}
