/** What an age recipient looks like (age-encryption.org/v1): `age1` and 32 bytes in Bech32 (BIP 173). */

const PREFIX = "age1";
const CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const LENGTH = 62;
const GENERATOR = [0x3b_6a_57_b2, 0x26_50_8e_6d, 0x1e_a1_19_fa, 0x3d_42_33_dd, 0x2a_14_62_b3] as const;

/** True for a native X25519 recipient whose checksum holds: the keys of plugins and hybrid ones are longer. */
export function isAgeRecipient(text: string): boolean {
  if (text.length !== LENGTH || !text.startsWith(PREFIX)) return false;
  // The human-readable part `age`, expanded: its upper bits, a zero, its lower bits.
  let checksum = 1;
  for (const value of [3, 3, 3, 0, 1, 7, 5]) checksum = step(checksum, value);
  let last = 0;
  for (let at = PREFIX.length; at < LENGTH; at++) {
    const value = CHARACTERS.indexOf(text.charAt(at));
    if (value === -1) return false;
    checksum = step(checksum, value);
    // 52 characters hold the 256 bits of the key and four zeros.
    if (at === PREFIX.length + 51) last = value;
  }
  return checksum === 1 && (last & 0b1111) === 0;
}

function step(checksum: number, value: number): number {
  const top = checksum >>> 25;
  let next = ((checksum & 0x1_ff_ff_ff) << 5) ^ value;
  for (const [bit, generator] of GENERATOR.entries()) if (((top >>> bit) & 1) === 1) next ^= generator;
  return next;
}
