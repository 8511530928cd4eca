/** Keeps the picture of one target's catalog current while somebody uses the target. */
import type { Clock } from "../../src/core/ports.ts";
import { CatalogLoader } from "./catalog-loader.ts";
import type { CatalogPicture } from "./catalog-picture.ts";
import { CATALOG_LIMITS, CatalogError, type CatalogLimits, type CatalogSource } from "./catalog-source.ts";

/** A source that can be given up. What is under way on it then rejects. */
export interface CatalogConnection extends CatalogSource {
  close(): void;
}

export interface Timers {
  /** Calls back once, later; the returned function prevents it. */
  after(delayMs: number, callback: () => void): () => void;
}

/** The runtime's own timers; waiting for a poll keeps no process alive. */
const SYSTEM_TIMERS: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export type CatalogKeeperOptions = {
  /** Opens another connection as CatalogSource wants it; rejects when it cannot. */
  readonly open: () => Promise<CatalogConnection>;
  readonly clock: Clock;
  readonly timers?: Timers;
  readonly limits?: CatalogLimits;
  /** A picture that was last seen to be true longer ago is not given out. */
  readonly staleMsMax?: number;
  /** The most that connecting, and then loading, may take. */
  readonly loadMsMax?: number;
  /** The first pause after a failure; each further one is twice as long. */
  readonly backoffMsMin?: number;
  readonly backoffMsMax?: number;
  /** How long the connection is kept when nobody uses the target any more. */
  readonly lingerMs?: number;
};

type Open = { readonly connection: CatalogConnection; readonly loader: CatalogLoader };

/** One for each target. Fails closed: `current` is null when the catalog is not known, or not known any more. */
export class CatalogKeeper {
  readonly #open: () => Promise<CatalogConnection>;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #limits: CatalogLimits;
  readonly #staleMsMax: number;
  readonly #loadMsMax: number;
  readonly #backoffMsMin: number;
  readonly #backoffMsMax: number;
  readonly #lingerMs: number;

  #held: Open | null = null;
  #picture: CatalogPicture | null = null;
  #generation = 0;
  /** When the load began that last found the picture true. */
  #seenAtMs = 0;
  #failure: Error | null = null;
  #failures = 0;
  #retryAtMs = 0;

  #stopped = false;
  #running = false;
  #next: PromiseWithResolvers<CatalogPicture> | null = null;

  #users = 0;
  #pollMs: number | null = null;
  #cancelTimer: () => void = () => {};
  readonly #listeners = new Set<(current: CatalogPicture | null) => void>();
  /** The digest that listeners were last told of. */
  #announced: string | null = null;

  constructor(options: CatalogKeeperOptions) {
    this.#open = options.open;
    this.#clock = options.clock;
    this.#timers = options.timers ?? SYSTEM_TIMERS;
    this.#limits = options.limits ?? CATALOG_LIMITS;
    this.#staleMsMax = options.staleMsMax ?? 60_000;
    this.#loadMsMax = options.loadMsMax ?? 30_000;
    this.#backoffMsMin = options.backoffMsMin ?? 500;
    this.#backoffMsMax = options.backoffMsMax ?? 30_000;
    this.#lingerMs = options.lingerMs ?? 60_000;
  }

  /**
   * The last picture; null when there is none, or when it was last seen to be true more than `staleMsMax` ago.
   * The same object until something changes, but for a new connection: then another one may have the same digest.
   */
  get current(): CatalogPicture | null {
    const ageMs = this.#clock.now() - this.#seenAtMs;
    return ageMs < 0 || ageMs > this.#staleMsMax ? null : this.#picture;
  }

  /**
   * The same after two loads: nothing was written between them, and whatever was read from the database in between is
   * of the same state as both pictures. Equal pictures alone do not say that: what was changed may have been undone.
   */
  get generation(): number {
    return this.#generation;
  }

  /** Why the last load failed; null when it did not. */
  get failure(): Error | null {
    return this.#failure;
  }

  /**
   * Resolves with a picture that shows all that was committed before the call. Calls that arrive while a load runs
   * share the one after it. Rejects when the catalog cannot be loaded; at once when that was found out a moment ago.
   */
  refresh(): Promise<CatalogPicture> {
    if (this.#running) return (this.#next ??= Promise.withResolvers()).promise;
    this.#cancelTimer();
    const promised = Promise.withResolvers<CatalogPicture>();
    void this.#run(promised);
    return promised.promise;
  }

  /** Called after a load, or the failure of one, when `current` has another digest than before, or is null now. Returns a function that ends it. */
  onChange(callback: (current: CatalogPicture | null) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  /** From now on looks for changes while somebody uses the target: `pollMs`, less than `staleMsMax`, after the last load began, or at its end. */
  start(pollMs: number): void {
    if (!(pollMs > 0 && pollMs < this.#staleMsMax)) {
      throw new RangeError(`pollMs must be less than ${this.#staleMsMax}`);
    }
    this.#stopped = false;
    this.#pollMs = pollMs;
    this.#schedule();
  }

  /** Ends polling and the connection; what is under way rejects, and so does every refresh() until start(). */
  stop(): void {
    this.#stopped = true;
    this.#pollMs = null;
    this.#cancelTimer();
    this.#drop();
  }

  /** Somebody uses the target: one call for each session. */
  acquire(): void {
    this.#users++;
    if (this.#users === 1) this.#schedule();
  }

  /** A user of the target is gone: one call for each acquire(). */
  release(): void {
    if (this.#users === 0) throw new Error("released more often than acquired");
    this.#users--;
    if (this.#users === 0) this.#schedule();
  }

  /** Sets the one timer: the next poll, or the end of the connection. While a load runs there is none; its end comes here. */
  #schedule(): void {
    if (this.#running) return;
    this.#cancelTimer();
    if (this.#users === 0) {
      if (this.#held !== null) this.#cancelTimer = this.#timers.after(this.#lingerMs, () => this.#drop());
    } else if (this.#pollMs !== null) {
      this.#cancelTimer = this.#timers.after(this.#pauseMs(this.#pollMs), () => {
        // The reason stays in `failure`.
        this.refresh().catch(() => {});
      });
    }
  }

  /** Never longer than the pause itself, whatever happened to the clock. */
  #pauseMs(pollMs: number): number {
    const nowMs = this.#clock.now();
    if (this.#failure !== null) return clamp(this.#retryAtMs - nowMs, this.#backoffMsMax);
    return this.#picture === null ? 0 : clamp(this.#seenAtMs + pollMs - nowMs, pollMs);
  }

  async #run(promised: PromiseWithResolvers<CatalogPicture>): Promise<void> {
    this.#running = true;
    const begunAtMs = this.#clock.now();
    if (this.#held === null && this.#failure !== null && this.#retryAtMs - begunAtMs > 0) {
      promised.reject(this.#failure);
    } else {
      try {
        const picture = await this.#load();
        if (this.#held?.loader.foundChanges !== false) this.#generation++;
        this.#picture = picture;
        this.#seenAtMs = begunAtMs;
        this.#failure = null;
        this.#failures = 0;
        promised.resolve(picture);
      } catch (thrown) {
        this.#failure = thrown instanceof Error ? thrown : new CatalogError(String(thrown));
        const pauseMs = Math.min(this.#backoffMsMax, this.#backoffMsMin * 2 ** this.#failures);
        this.#failures++;
        this.#retryAtMs = this.#clock.now() + pauseMs;
        promised.reject(this.#failure);
      }
    }
    this.#running = false;
    const next = this.#next;
    this.#next = null;
    if (next === null) this.#schedule();
    else void this.#run(next);
    this.#announce();
  }

  async #load(): Promise<CatalogPicture> {
    const held = this.#held;
    if (held !== null) {
      try {
        return await this.#limited(held.loader.load());
      } catch {
        // It may have been idle for too long, or its server restarted: one fresh attempt before anybody is told.
        this.#drop(held);
      }
    }
    const connection = await this.#connect();
    const opened = { connection, loader: new CatalogLoader(connection, this.#limits) };
    this.#held = opened;
    try {
      return await this.#limited(opened.loader.load());
    } catch (error) {
      this.#drop(opened);
      throw error;
    }
  }

  async #connect(): Promise<CatalogConnection> {
    if (this.#stopped) throw new CatalogError("the catalog is no longer kept");
    const opening = this.#open();
    try {
      const connection = await this.#limited(opening);
      if (!this.#stopped) return connection;
      throw new CatalogError("the catalog is no longer kept");
    } catch (error) {
      // It may still come about, when nobody waits for it any more.
      opening.then(
        (late) => late.close(),
        () => {},
      );
      throw error;
    }
  }

  /** Settles as the work does, or rejects when its time is over. */
  #limited<T>(work: Promise<T>): Promise<T> {
    const limited = Promise.withResolvers<T>();
    const cancel = this.#timers.after(this.#loadMsMax, () => {
      limited.reject(new CatalogError(`the target's catalog could not be read within ${this.#loadMsMax} ms`));
    });
    work.then(limited.resolve, limited.reject).finally(cancel);
    return limited.promise;
  }

  #drop(held: Open | null = this.#held): void {
    if (held === null || this.#held !== held) return;
    this.#held = null;
    try {
      held.connection.close();
    } catch {
      // It is given up in any case.
    }
  }

  #announce(): void {
    const current = this.current;
    const digest = current?.digest ?? null;
    if (digest === this.#announced) return;
    this.#announced = digest;
    for (const listener of this.#listeners) listener(current);
  }
}

function clamp(delayMs: number, delayMsMax: number): number {
  return Math.min(delayMsMax, Math.max(0, delayMs));
}
