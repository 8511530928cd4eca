/** Opens what is sealed, with an auditor's key. Nothing of this runs in the gateway. */
import { messageOf } from "../core/message-of.ts";

const IDENTITY_START = "AGE-SECRET-KEY-1";

/** The key does not open this, or what it should open is no age file. */
class CannotUnseal extends Error {
  readonly code = "CANNOT_UNSEAL";
}

/** The native X25519 identities of an age identity file, in order. Throws CannotUnseal when there is none. */
export function readIdentities(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  const written = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const identities = written.filter((line) => line.startsWith(IDENTITY_START));
  if (identities.length > 0) return identities;
  if (written.some((line) => line.startsWith("AGE-PLUGIN-"))) {
    throw new CannotUnseal("this is the identity of a plugin: open it with age itself, after --export-age");
  }
  throw new CannotUnseal(`there is no age identity here: a line that begins with ${IDENTITY_START}`);
}

/** The recipients that belong to identities: who opens it, as the log may say. */
export async function recipientsOf(identities: readonly string[]): Promise<string[]> {
  const { identityToRecipient } = await import("age-encryption");
  return Promise.all(identities.map(async (identity) => identityToRecipient(identity)));
}

/** Opens a recording's wrapped key: the identity that opens its sealed segments. Throws CannotUnseal. */
export async function openWrappedKey(wrapped: Uint8Array, identities: readonly string[]): Promise<string> {
  const plaintext = await decrypt(wrapped, identities, "the key of this recording");
  const [identity] = readIdentities(Buffer.from(plaintext).toString("utf8"));
  if (identity === undefined) throw new CannotUnseal("the key of this recording holds no identity");
  return identity;
}

/** Opens one sealed segment; `what` names it in errors. Throws CannotUnseal. */
export async function openSegment(data: Uint8Array, identity: string, what: string): Promise<Uint8Array> {
  return decrypt(data, [identity], what);
}

async function decrypt(file: Uint8Array, identities: readonly string[], what: string): Promise<Uint8Array> {
  // Loaded where it is used: it takes a tenth of a second, and few commands need it.
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch (error) {
    throw new CannotUnseal("the identity is not a key of age's", { cause: error });
  }
  try {
    return await decrypter.decrypt(file);
  } catch (error) {
    const reason = messageOf(error);
    throw new CannotUnseal(`${what} is not opened by this key (${reason})`, { cause: error });
  }
}
