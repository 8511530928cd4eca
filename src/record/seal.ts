/** Sealing (age-encryption.org/v1): files to a recording's key, which auditors alone can open. */
import { Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";

/** What is left of a recording's key when it has been made: where to seal to, and the identity as the auditors get it. */
export type SessionKey = {
  /** `age1...` */
  readonly recipient: string;
  /** An age file to the auditors; its plaintext is an age identity file. */
  readonly wrapped: Uint8Array;
};

/**
 * Makes a key and wraps its identity. The identity never leaves this function, but JavaScript cannot wipe the memory it
 * was in: only a process that ends soon calls this (key-child.ts).
 */
export async function makeSessionKey(auditors: readonly string[]): Promise<SessionKey> {
  if (auditors.length === 0) throw new Error("there is nobody to seal to");
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const wrapper = new Encrypter();
  for (const auditor of auditors) wrapper.addRecipient(auditor);
  return { recipient, wrapped: await wrapper.encrypt(`${identity}\n`) };
}

/** One age file to a recording's key. */
export async function sealTo(recipient: string, plaintext: Uint8Array): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return encrypter.encrypt(plaintext);
}
