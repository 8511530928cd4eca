/** A connection as an adapter sees it, without the gate: any permit will do. For tests of what adapters send to targets. */
import type { Connection, Endpoint, Permit, Upstream } from "../../src/core/ports.ts";
import { DirectDialer } from "../../src/dial/direct.ts";

export const ANY_PERMIT: Permit = { operation: "test", rules: [], obligations: {} };

/** Dials and wraps. `isLoopback` may be claimed to be otherwise. */
export async function dialUpstream(
  endpoint: Endpoint,
  options: { readonly isLoopback?: boolean } = {},
): Promise<Upstream> {
  const connection: Connection = await new DirectDialer().dial(endpoint, 10_000);
  return {
    address: connection.address,
    isLoopback: options.isLoopback ?? connection.isLoopback,
    write: (_permit, bytes) => connection.write(bytes),
    writePart: (_permit, bytes, start, end) => connection.writePart(bytes, start, end),
    startTls: async (_permit, tls) => connection.startTls(tls),
    require: () => {},
    onData: (callback) => connection.onData(callback),
    onDrain: (callback) => connection.onDrain(callback),
    onClose: (callback) => connection.onClose(callback),
    pause: () => connection.pause(),
    resume: () => connection.resume(),
    close: () => connection.close(),
  };
}
