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
  /* What the empty name stands for is kept beside the maps: nearly every statement gives and takes it. */
  #unnamed: T | undefined;
  #unnamedPending: PendingName<T> | undefined;

  /** A message on its way gives `name` a value, or takes it away (null). */
  announce(name: string, segment: number, value: T | null): PendingName<T> {
    const pending = { name, segment, value };
    if (name === "") this.#unnamedPending = pending;
    else this.#pending.set(name, pending);
    return pending;
  }

  lookup(name: string, segment: number): Lookup<T> {
    const pending = this.#pendingOf(name);
    if (pending !== undefined) {
      if (pending.segment !== segment) return { kind: "wait" };
      return pending.value === null ? { kind: "absent" } : { kind: "known", value: pending.value };
    }
    const committed = this.committed(name);
    return committed === undefined ? { kind: "absent" } : { kind: "known", value: committed };
  }

  /** What the server has acknowledged under this name. */
  committed(name: string): T | undefined {
    return name === "" ? this.#unnamed : this.#committed.get(name);
  }

  acknowledge(pending: PendingName<T>): void {
    this.drop(pending);
    this.commit(pending.name, pending.value);
  }

  /** The server skipped it, or it was never sent. */
  drop(pending: PendingName<T>): void {
    const { name } = pending;
    if (this.#pendingOf(name) !== pending) return;
    if (name === "") this.#unnamedPending = undefined;
    else this.#pending.delete(name);
  }

  commit(name: string, value: T | null): void {
    if (name === "") this.#unnamed = value ?? undefined;
    else if (value === null) this.#committed.delete(name);
    else this.#committed.set(name, value);
  }

  /** Forgets all acknowledged names whose value does not pass. */
  keepOnly(passes: (value: T) => boolean): void {
    if (this.#unnamed !== undefined && !passes(this.#unnamed)) this.#unnamed = undefined;
    for (const [name, value] of this.#committed) {
      if (!passes(value)) this.#committed.delete(name);
    }
  }

  #pendingOf(name: string): PendingName<T> | undefined {
    return name === "" ? this.#unnamedPending : this.#pending.get(name);
  }
}
