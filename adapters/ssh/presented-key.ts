/** Which host key a target presents, whatever is configured: for the operator who is to compare them. */
import { createHash } from "node:crypto";
import { isRefusal } from "../../src/core/decision.ts";
import type { Door, OpenSession } from "../../src/core/ports.ts";
import {
  PUBLIC_KEY_TYPES,
  type PublicKeyType,
  readPublicKeyBlob,
  type SshPublicKey,
} from "../../src/core/ssh-public-key.ts";
import { clientOffer } from "./algorithms.ts";
import { endpointOf, type SshSettings } from "./settings.ts";
import { Transport } from "./transport.ts";

const TIME_MS_MAX = 5_000;

/**
 * One sentence with the presented key and the configured ones; "" when the target presents none that can be read. It
 * is asked for a key of one of these types.
 */
export async function comparedKeys(
  door: Door,
  opened: OpenSession,
  settings: SshSettings,
  types: readonly PublicKeyType[] = PUBLIC_KEY_TYPES,
): Promise<string> {
  const presented = await presentedKey(door, opened, settings, types);
  if (presented === null) return "";
  const line = `${presented.type} ${Buffer.from(presented.blob).toString("base64")}`;
  const configured = settings.hostKeys.map((key) => `${key.type} ${fingerprintOf(key)}`).join(", ");
  return `it presents ${line} (${fingerprintOf(presented)}), and hostKeys has ${configured}`;
}

/** Ends the connection before the gateway has said who it is. */
async function presentedKey(
  door: Door,
  opened: OpenSession,
  settings: SshSettings,
  types: readonly PublicKeyType[],
): Promise<SshPublicKey | null> {
  const upstream = await door.dial(opened.session, "session", endpointOf(settings));
  if (isRefusal(upstream)) return null;
  const { promise, resolve } = Promise.withResolvers<SshPublicKey | null>();
  const timer = setTimeout(() => resolve(null), TIME_MS_MAX);
  const verify = (blob: Uint8Array): boolean => {
    const key = readPublicKeyBlob(blob);
    resolve(typeof key === "string" ? null : { ...key, blob: blob.slice() });
    return false;
  };
  const transport = new Transport(
    { kind: "client", offer: clientOffer(types), verify },
    {
      write: (bytes) => upstream.write(opened.permit, bytes),
      onReady: () => resolve(null),
      onMessage: () => {},
      onDrain: () => {},
      onDisconnect: () => resolve(null),
      onError: () => resolve(null),
    },
  );
  try {
    upstream.onClose(() => resolve(null));
    await transport.start();
    upstream.onData((bytes) => transport.receive(bytes));
    return await promise;
  } finally {
    clearTimeout(timer);
    transport.close();
    upstream.close();
  }
}

function fingerprintOf({ blob }: SshPublicKey): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replaceAll("=", "")}`;
}
