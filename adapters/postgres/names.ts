/** The names of a session's prepared statements or portals: what the server has acknowledged, and what is on its way. */

/** A name that a message gives or takes away, until the server acknowledges or skips it. */
export type PendingName<T> = { readonly name: string; readonly segment: number; readonly value: T | null };

/** `wait`: it depends on a reply that has not come; ask again when it has. */
export type Lookup<T> =
  | { readonly kind: "known"; readonly value: T }
  | { readonly kind: "absent" }
  | { readonly kind: "wait" };

/**
 * A segment is what lies between two Syncs. Inside one, what was sent can be relied on: if it fails, the server
 * skips all that follows. Across a Sync it cannot, so there the answer is to wait for the acknowledgement.
 */
export class Names<T> {
  readonly #committed = new Map<string, T>();
  readonly #pending = new Map<string, PendingName<T>>();

  /** A message on its way gives `name` a value, or takes it away (null). */
  announce(name: string, segment: number, value: T | null): PendingName<T> {
    const pending = { name, segment, value };
    this.#pending.set(name, pending);
    return pending;
  }

  lookup(name: string, segment: number): Lookup<T> {
    const pending = this.#pending.get(name);
    if (pending !== undefined) {
      if (pending.segment !== segment) return { kind: "wait" };
      return pending.value === null ? { kind: "absent" } : { kind: "known", value: pending.value };
    }
    const committed = this.#committed.get(name);
    return committed === undefined ? { kind: "absent" } : { kind: "known", value: committed };
  }

  /** What the server has acknowledged under this name. */
  committed(name: string): T | undefined {
    return this.#committed.get(name);
  }

  acknowledge(pending: PendingName<T>): void {
    this.drop(pending);
    this.commit(pending.name, pending.value);
  }

  /** The server skipped it, or it was never sent. */
  drop(pending: PendingName<T>): void {
    if (this.#pending.get(pending.name) === pending) this.#pending.delete(pending.name);
  }

  commit(name: string, value: T | null): void {
    if (value === null) this.#committed.delete(name);
    else this.#committed.set(name, value);
  }

  /** Forgets all acknowledged names whose value does not pass. */
  keepOnly(passes: (value: T) => boolean): void {
    for (const [name, value] of this.#committed) {
      if (!passes(value)) this.#committed.delete(name);
    }
  }
}
