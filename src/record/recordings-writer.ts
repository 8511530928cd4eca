/** The Worker that keeps recordings: seals what is to be sealed, and commits in groups. */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../core/message-of.ts";
import { readOrder, readSettings, type WriterMessage, type WriterOrder } from "./messages.ts";
import { KeyPool } from "./key-pool.ts";
import { sealTo, type SessionKey } from "./seal.ts";
import { RecordingStore } from "./store.ts";

/** What one transaction takes, in plaintext of segments; the rest waits for the next. */
const GROUP_BYTES_MAX = 16 * 1024 * 1024;

/** An order with what had to be worked out before the transaction. */
type Prepared = {
  readonly order: WriterOrder;
  readonly key: SessionKey | null;
  /** What is stored of a segment. */
  readonly data: Uint8Array | null;
  /** Why it cannot be done, though the rest can. */
  readonly refused?: string;
};

class RecordingsWriter {
  readonly #store: RecordingStore;
  readonly #keys: KeyPool;
  readonly #tell: (message: WriterMessage) => void;
  readonly #orders: WriterOrder[] = [];
  /** Where open recordings are sealed to. */
  readonly #recipients = new Map<string, string>();
  #isWorking = false;
  #hasFailed = false;

  constructor(store: RecordingStore, keys: KeyPool, tell: (message: WriterMessage) => void) {
    this.#store = store;
    this.#keys = keys;
    this.#tell = tell;
  }

  take(order: WriterOrder): void {
    if (this.#hasFailed) return;
    this.#orders.push(order);
    if (this.#isWorking) return;
    this.#isWorking = true;
    void this.#work().finally(() => {
      this.#isWorking = false;
    });
  }

  async #work(): Promise<void> {
    try {
      while (this.#orders.length > 0) {
        const group = await this.#nextGroup();
        const [last] = group.slice(-1);
        this.#keep(group);
        if (last?.order.kind === "close") {
          this.#store.checkpoint();
          this.#store.close();
          this.#tell({ kind: "closed" });
          return;
        }
      }
    } catch (error) {
      // SQLite would carry on after a failed commit; nobody could say what is on the disk then.
      this.#hasFailed = true;
      this.#orders.length = 0;
      this.#letGo();
      this.#tell({ kind: "failed", reason: messageOf(error) });
      this.#store.close();
    }
  }

  /** Whoever hears of a failure ends this Worker at once, and then a lock that it holds stays until the gateway ends. */
  #letGo(): void {
    try {
      this.#store.rollBack();
    } catch {
      // What cannot even be rolled back stays locked.
    }
  }

  /** What came so far, in order, sealed; ends after an order that stands alone. */
  async #nextGroup(): Promise<Prepared[]> {
    const group: Prepared[] = [];
    let bytes = 0;
    while (bytes < GROUP_BYTES_MAX) {
      const order = this.#orders.shift();
      if (order === undefined) break;
      group.push(await this.#prepare(order));
      if (order.kind === "segment") bytes += order.length;
      if (order.kind === "close") break;
    }
    return group;
  }

  async #prepare(order: WriterOrder): Promise<Prepared> {
    if (order.kind === "open") {
      try {
        const key = await this.#keys.take();
        if (key !== null) this.#recipients.set(order.recording.id, key.recipient);
        return { order, key, data: null };
      } catch (error) {
        return { order, key: null, data: null, refused: messageOf(error) };
      }
    }
    if (order.kind !== "segment") return { order, key: null, data: null };
    const plaintext = order.data.subarray(0, order.length);
    if (order.stream === "clear") return { order, key: null, data: plaintext };
    const recipient = this.#recipients.get(order.recording);
    if (recipient === undefined) throw new Error(`the recording ${order.recording} has no key to seal to`);
    const data = await sealTo(recipient, plaintext);
    plaintext.fill(0);
    return { order, key: null, data };
  }

  #keep(group: readonly Prepared[]): void {
    const store = this.#store;
    const said: WriterMessage[] = [];
    store.begin();
    for (const { order, key, data, refused } of group) {
      if (refused !== undefined && order.kind === "open") {
        said.push({ kind: "refused", recording: order.recording.id, reason: refused });
        continue;
      }
      switch (order.kind) {
        case "open":
          said.push({
            kind: "opened",
            recording: order.recording.id,
            seal: store.insertRecording(order.recording, key),
          });
          break;
        case "segment":
          if (data === null) throw new Error("a segment was not prepared");
          said.push({ kind: "stored", segment: store.insertSegment(order, data), waitedBytes: order.length });
          break;
        case "end":
          this.#recipients.delete(order.recording);
          said.push({ kind: "ended", ended: store.endRecording(order.recording, order.endedMs, order.reason) });
          break;
        case "logged":
          store.markLogged(order.row);
          break;
        case "shred":
          said.push({ kind: "shredded", recording: order.recording, wasThere: store.shred(order.recording) });
          break;
        case "prune":
          said.push({ kind: "pruned", recordings: store.prune(order.beforeMs) });
          break;
        case "close":
          break;
      }
    }
    store.commit();
    // What was deleted is still in the write-ahead log.
    if (group.some(({ order }) => order.kind === "shred" || order.kind === "prune")) store.checkpoint();
    said.push({ kind: "progress", orders: group.length });
    for (const message of said) this.#tell(message);
  }
}

function start(): void {
  const port = parentPort;
  if (port === null) throw new Error("this is a Worker");
  const tell = (message: WriterMessage): void => port.postMessage(message);
  try {
    const settings = readSettings(workerData);
    const store = new RecordingStore(settings.folder, settings);
    const writer = new RecordingsWriter(store, new KeyPool(settings.recipients), tell);
    port.on("message", (data: unknown) => writer.take(readOrder(data)));
    tell({ kind: "serving", owed: store.owed() });
  } catch (error) {
    tell({ kind: "failed", reason: messageOf(error) });
  }
}

start();
