/** What was received of a connection, in its order: kept while nobody reads, and handed back by a reader for the next. */

export class Inbox {
  #reader: ((bytes: Uint8Array) => void) | null = null;
  #unread: Uint8Array[] = [];

  /** What was unread comes first. */
  onData(reader: (bytes: Uint8Array) => void): void {
    this.#reader = reader;
    const unread = this.#unread;
    this.#unread = [];
    for (const bytes of unread) reader(bytes);
  }

  received(bytes: Uint8Array): void {
    if (this.#reader === null) this.#unread.push(bytes);
    else this.#reader(bytes);
  }

  /** Nobody reads until the next onData(). */
  stopReading(): void {
    this.#reader = null;
  }

  /** Nobody reads until the next onData(), whose reader gets these bytes first. */
  handBack(bytes: Uint8Array): void {
    this.stopReading();
    if (bytes.length > 0) this.#unread.unshift(bytes);
  }
}
