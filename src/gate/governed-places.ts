/** The places that no forward may lead to, because whoever came there would have passed by the gate. */
import { networkInterfaces } from "node:os";
import { readHost, specialAddress } from "../core/ip-address.ts";
import type { Clock, Destination, Endpoint } from "../core/ports.ts";
import type { TimeMs } from "../core/session.ts";

/** How long a destination's name may take to resolve, and those of all targets together. */
const RESOLVE_TIME_MS_MAX = 5_000;
/** How long the addresses of a target are taken for the present. */
const ADDRESS_AGE_MS_MAX = 30_000;

type Place = { readonly host: string; readonly port: number };

export type GovernedPlacesParts = {
  isTarget(name: string): boolean;
  /** Where the targets are. */
  readonly endpoints: readonly Endpoint[];
  /** Where this gateway listens now. */
  listeners(): readonly Place[];
  /** The addresses of a name; empty: there is no such name. Rejects when that cannot be found out in time. */
  resolve(host: string, timeMsMax: number): Promise<readonly string[]>;
  readonly clock: Clock;
};

/** A target's host that is a name, with what it resolved to last. */
type Known = { addresses: readonly string[]; atMs: TimeMs };

export class GovernedPlaces {
  readonly #parts: GovernedPlacesParts;
  /** As the configuration writes them, in lower case; addresses in their usual form. */
  readonly #hosts: ReadonlySet<string>;
  readonly #known = new Map<string, Known>();

  constructor(parts: GovernedPlacesParts) {
    this.#parts = parts;
    this.#hosts = new Set(parts.endpoints.flatMap((each) => ("host" in each ? [usualHost(each.host)] : [])));
  }

  /** As Door.destinationOf(). */
  async destinationOf(host: string, port: number): Promise<Destination> {
    const usual = usualHost(host);
    const named = this.#targetNamed(host);
    if (named !== null) return named;
    if (this.#hosts.has(usual)) return closed("the host of a governed target");
    const addresses = await this.#addressesOf(usual);
    if (addresses === null) return closed("a name that cannot be looked up now, so that nobody knows where it leads");
    const known = await this.#targetAddresses();
    if (known === null) return closed("perhaps a governed target, whose name cannot be looked up now");
    for (const address of addresses) {
      const special = specialAddress(address);
      if (special !== null) return closed(special);
      if (this.#hosts.has(address) || known.has(address)) return closed("the host of a governed target");
      if (this.#isListener(address, port)) return closed("the gateway itself");
    }
    return { kind: "elsewhere" };
  }

  /** `TARGET` or `TARGET.PART`; names of targets hold no dot. */
  #targetNamed(written: string): Destination | null {
    const host = written.endsWith(".") ? written.slice(0, -1) : written;
    const dot = host.indexOf(".");
    const targetName = (dot < 0 ? host : host.slice(0, dot)).toLowerCase();
    if (!this.#parts.isTarget(targetName)) return null;
    return { kind: "target", targetName, part: dot < 0 ? null : host.slice(dot + 1) };
  }

  /** Null: it cannot be found out. Empty: only others may know the name. */
  async #addressesOf(host: string): Promise<readonly string[] | null> {
    const read = readHost(host);
    if (read.kind === "malformed") return null;
    if (read.kind === "address") return [read.address];
    try {
      return (await this.#parts.resolve(host, RESOLVE_TIME_MS_MAX)).map(usualHost);
    } catch {
      return null;
    }
  }

  /** What the targets' names resolve to. One that cannot be looked up now is where it was; null: nobody knows where one is. */
  async #targetAddresses(): Promise<ReadonlySet<string> | null> {
    const now = this.#parts.clock.now();
    const names = [...this.#hosts].filter((host) => readHost(host).kind === "name");
    const lists = await Promise.all(
      names.map(async (name) => {
        const known = this.#known.get(name);
        if (known !== undefined && now >= known.atMs && now - known.atMs < ADDRESS_AGE_MS_MAX) return known.addresses;
        try {
          const addresses = (await this.#parts.resolve(name, RESOLVE_TIME_MS_MAX)).map(usualHost);
          this.#known.set(name, { addresses, atMs: now });
          return addresses;
        } catch {
          return known?.addresses ?? null;
        }
      }),
    );
    const found = lists.filter((list) => list !== null);
    return found.length === lists.length ? new Set(found.flat()) : null;
  }

  #isListener(address: string, port: number): boolean {
    return this.#parts.listeners().some((listener) => {
      if (listener.port !== port) return false;
      const host = usualHost(listener.host);
      if (specialAddress(host) !== "an unspecified address") return host === address;
      return Object.values(networkInterfaces()).some((each) => each?.some((own) => usualHost(own.address) === address));
    });
  }
}

/** A name in lower case without the dot at its end; an address in its usual form. */
function usualHost(host: string): string {
  const lower = host.toLowerCase();
  const bare = lower.endsWith(".") ? lower.slice(0, -1) : lower;
  const read = readHost(bare);
  return read.kind === "address" ? read.address : bare;
}

function closed(why: string): Destination {
  return { kind: "closed", why };
}
