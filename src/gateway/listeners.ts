/** What the gateway listens on: a listener for each protocol, the cosigner of others' logs, and their end. */
import { hostname } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type { ListenerStatus } from "../api/house.ts";
import { keptCosigner } from "../audit/cosigner-key.ts";
import { serveWitness } from "../audit/witness-server.ts";
import { WitnessStore } from "../audit/witness-store.ts";
import { Witness } from "../audit/witness.ts";
import type { AuditConfig, Listener } from "../config/config.ts";
import { messageOf } from "../core/message-of.ts";
import type { Door, Listen, Served } from "../core/ports.ts";
import { keptCertificate } from "../identity/kept-certificate.ts";
import { keptHostKey } from "../identity/kept-host-key.ts";
import { bindReason } from "./bind-reason.ts";
import { adapterOf, type GatewayParts } from "./parts.ts";
import { withinTime } from "./within-time.ts";

/** Beyond the drain time itself: for the last bytes, and for an adapter that does not keep it. */
const DRAIN_GRACE_MS = 5_000;

type Serving = { readonly listener: Listener; readonly served: Served; tls: Listen["tls"] };

export class Listeners {
  readonly #parts: GatewayParts;
  readonly #bound: ListenerStatus[] = [];
  readonly #served: Serving[] = [];
  #cosigner: string | null = null;
  #drained: Promise<void> | null = null;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  /** In the order in which they were bound. */
  get bound(): readonly ListenerStatus[] {
    return this.#bound;
  }

  /** The verifier key of the cosigner; null: there is none. */
  get cosigner(): string | null {
    return this.#cosigner;
  }

  /** Clients come in from now on. Rejects with a sentence for people when an address cannot be bound. */
  async serve(listener: Listener, door: Door): Promise<void> {
    const { host, port, keyExchange } = listener;
    const { config } = this.#parts;
    const adapter = adapterOf(this.#parts, listener.adapter);
    if (adapter === undefined) throw new Error(`there is no adapter for ${listener.adapter}`);
    const hostKey = adapter.name === "ssh" ? keptHostKey(config.data) : null;
    const tls = this.#tls(listener);
    const hostKeys = hostKey === null ? [] : [hostKey.privateKey];
    const listen: Listen = { host, port, tls, hostKeys, keyExchange, limits: config.limits };
    const served = await adapter.serve(door, listen).catch((error: unknown) => {
      throw new Error(`cannot listen on ${host}:${port} for ${adapter.name}: ${bindReason(error)}`, { cause: error });
    });
    this.#served.push({ listener, served, tls });
    const bound = { adapter: adapter.name, host, port: served.port, tls: tls !== null };
    this.#bound.push(hostKey === null ? bound : { ...bound, hostKey: hostKey.fingerprint });
  }

  /** Serves those whose logs this gateway cosigns; answers how to stop. Throws with a sentence for people. */
  serveCosigner(cosign: NonNullable<AuditConfig["cosign"]>): () => Promise<void> {
    const { config, clock } = this.#parts;
    const { logs, host, port } = cosign;
    if (logs.some((vkey) => vkey.startsWith(`${config.name}+`) || vkey.startsWith(`${config.name}/`))) {
      throw new Error(
        "audit.cosign.logs names this gateway's own log: what it says of itself proves nothing to others",
      );
    }
    const signer = keptCosigner(config.data, config.name);
    const store = new WitnessStore(config.data);
    try {
      const witness = new Witness({ signer, logs, store, clock, say: (line) => this.#parts.say(line) });
      const served = serveWitness(witness, { host, port, tls: this.#tls(cosign) });
      this.#cosigner = signer.verifier.vkey;
      this.#bound.push({ adapter: "witness", host, port: served.port, tls: cosign.tls !== "off" });
      return async () => {
        await served.stop();
        store.close();
      };
    } catch (error) {
      store.close();
      throw new Error(`cannot cosign on ${host}:${port}: ${bindReason(error)}`, { cause: error });
    }
  }

  /** Shows new clients the certificates that are configured now, where TLS is on; answers what it did, one line each. */
  renewCertificates(configured: readonly Listener[]): readonly string[] {
    return this.#served.flatMap((serving) => {
      const { adapter, host, port, tls } = serving.listener;
      const next = configured.find((each) => each.adapter === adapter && each.host === host && each.port === port);
      if (next === undefined || next.tls === "off" || tls === "off") return [];
      const where = `${adapter}=${host}:${serving.served.port}`;
      try {
        return [`the certificate of ${where} ${this.#renewed(serving, next) ? "was taken anew" : "is as it was"}`];
      } catch (error) {
        return [`the certificate of ${where} could not be taken anew: ${messageOf(error)}`];
      }
    });
  }

  /** False: it is the one that is shown already. */
  #renewed(serving: Serving, configured: Listener): boolean {
    const tls = this.#tls(configured);
    if (tls === null || isDeepStrictEqual(tls, serving.tls)) return false;
    serving.served.renewTls?.(tls);
    serving.tls = tls;
    return true;
  }

  /** Nobody comes in from now on; resolves when the sessions there are have ended. Does so once. */
  async drain(): Promise<void> {
    return (this.#drained ??= this.#drain());
  }

  async #drain(): Promise<void> {
    const timeMs = this.#parts.config.limits.drainTimeMs + DRAIN_GRACE_MS;
    const ends = this.#served.map(async ({ listener: { adapter }, served }) =>
      withinTime(served.drain(), timeMs, `sessions of ${adapter} did not end within ${timeMs} ms`),
    );
    await Promise.all(ends);
  }

  /** What a listener presents to its clients; null: plaintext. Throws StoreError. */
  #tls(listener: Pick<Listener, "host" | "tls">): Listen["tls"] {
    if (listener.tls === "off") return null;
    if (listener.tls !== "auto") return listener.tls;
    const { config, clock } = this.#parts;
    const hosts = [config.name, hostname(), listener.host, "localhost", "127.0.0.1", "::1"];
    const names = new Set(hosts.filter((host) => host !== "0.0.0.0" && host !== "::"));
    return keptCertificate(config.data, [...names], clock.now());
  }
}
