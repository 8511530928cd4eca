/** Serves a witness over HTTP, within limits of size, rate and time. */
import { Hono } from "hono";
import { networkOf } from "../core/ip-address.ts";
import type { WitnessAnswer } from "./witness.ts";
import { REQUEST_BYTES_MAX } from "./witness-request.ts";

/** A connection on which nothing happens for so long is closed. */
const IDLE_SECONDS_MAX = 30;
/** Requests of one address: so many at once, and so many a second after that. A log asks once in five seconds. */
const BURST_MAX = 100;
const PER_SECOND_MAX = 20;
/** Addresses remembered; beyond it all are forgotten, which lets through at most a burst of each. */
const ADDRESSES_MAX = 10_000;

export type WitnessListen = {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** PEM; null: plaintext. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
};

export type ServedWitness = { readonly port: number; stop(): Promise<void> };

/** Binds and serves `POST /add-checkpoint`. Throws when it cannot bind. */
export function serveWitness(
  witness: { addCheckpoint(body: Uint8Array): WitnessAnswer },
  { host, port, tls }: WitnessListen,
  rates = new Rates(),
): ServedWitness {
  const app = new Hono<{ Bindings: { readonly address: string } }>();
  app.post("/add-checkpoint", async (c) => {
    if (!rates.admits(c.env.address, performance.now()))
      return c.text("too many requests\n", 429, { "Retry-After": "1" });
    const { status, type, body } = witness.addCheckpoint(new Uint8Array(await c.req.arrayBuffer()));
    return c.body(body, status, { "Content-Type": type });
  });
  // A body that was never sent whole; whoever sent it is gone, and nobody else needs to hear of it.
  app.onError((_, c) => c.text("the request did not arrive whole\n", 400));
  app.notFound((c) => c.text("a witness has POST /add-checkpoint and nothing else\n", 404));
  const server = Bun.serve({
    hostname: host,
    port,
    ...(tls === null ? {} : { tls: { cert: tls.cert, key: tls.key } }),
    maxRequestBodySize: REQUEST_BYTES_MAX,
    idleTimeout: IDLE_SECONDS_MAX,
    fetch: async (request, from) => app.fetch(request, { address: from.requestIP(request)?.address ?? "" }),
  });
  return {
    port: server.port ?? port,
    stop: async () => server.stop(true),
  };
}

/** A bucket of requests per IPv4 address or IPv6 /64. */
export class Rates {
  readonly #buckets = new Map<string, { left: number; atMs: number }>();

  /** Takes one request; `nowMs` is monotonic. */
  admits(source: string, nowMs: number): boolean {
    const address = networkOf(source);
    if (this.#buckets.size >= ADDRESSES_MAX && !this.#buckets.has(address)) this.#buckets.clear();
    const bucket = this.#buckets.get(address) ?? { left: BURST_MAX, atMs: nowMs };
    bucket.left = Math.min(BURST_MAX, bucket.left + ((nowMs - bucket.atMs) / 1000) * PER_SECOND_MAX);
    bucket.atMs = nowMs;
    this.#buckets.set(address, bucket);
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}
