/** The self-signed certificate of a listener that was given none: X.509 version 3, written as DER by hand. */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

/** How long a certificate made here is valid. */
const VALIDITY_YEARS = 10;
/** Clients' clocks may be this far behind ours. */
const CLOCK_SKEW_MS = 60 * 60 * 1000;
const NAMES_MAX = 100;
/** RFC 5280, upper bounds: ub-common-name. */
const COMMON_NAME_CHARS_MAX = 64;
const DNS_NAME_CHARS_MAX = 253;

export type CertificateAndKey = {
  /** PEM, one certificate. */
  readonly cert: string;
  /** PEM, PKCS #8, unencrypted. */
  readonly key: string;
};

/**
 * Makes a P-256 key and a certificate for it, signed by itself, for DNS names (`*.` allowed) and IP addresses, valid
 * from shortly before `now` (milliseconds since the epoch) for ten years. RFC 5280. Throws on a name that is neither.
 */
export function selfSignedCertificate(names: readonly string[], now: number): CertificateAndKey {
  const [first] = names;
  if (first === undefined || names.length > NAMES_MAX) {
    throw new Error(`a certificate is for 1 to ${NAMES_MAX} names, not ${names.length}`);
  }
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const from = new Date(now - CLOCK_SKEW_MS);
  const until = new Date(now);
  until.setUTCFullYear(until.getUTCFullYear() + VALIDITY_YEARS);
  const name = distinguishedName(first.length <= COMMON_NAME_CHARS_MAX ? first : "weir");
  const algorithm = sequence(ECDSA_WITH_SHA256);
  const body = sequence(
    der(CONTEXT_0, der(INTEGER, Buffer.from([2]))), // version 3
    der(INTEGER, serialNumber()),
    algorithm,
    name, // issuer
    sequence(time(from), time(until)),
    name, // subject
    spki,
    der(CONTEXT_3, sequence(...extensions(names, spki))),
  );
  const signature = sign("sha256", body, privateKey);
  const certificate = sequence(body, algorithm, bitString(signature));
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64Lines(certificate)}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

/** X.690 identifier octets. */
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
const CONTEXT_0 = 0xa0;
const CONTEXT_3 = 0xa3;
/** GeneralName choices, RFC 5280 section 4.2.1.6. */
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

const ECDSA_WITH_SHA256 = objectIdentifier("2a8648ce3d040302"); // 1.2.840.10045.4.3.2
const COMMON_NAME = objectIdentifier("550403"); // 2.5.4.3
const SUBJECT_KEY_IDENTIFIER = objectIdentifier("551d0e"); // 2.5.29.14
const SUBJECT_ALT_NAME = objectIdentifier("551d11"); // 2.5.29.17
const BASIC_CONSTRAINTS = objectIdentifier("551d13"); // 2.5.29.19
const EXTENDED_KEY_USAGE = objectIdentifier("551d25"); // 2.5.29.37
const SERVER_AUTH = objectIdentifier("2b06010505070301"); // 1.3.6.1.5.5.7.3.1

/** No key usage: one without keyCertSign makes BoringSSL call the self-signature bad instead of the certificate self-signed. */
function extensions(names: readonly string[], spki: Buffer): Buffer[] {
  return [
    extension(BASIC_CONSTRAINTS, true, sequence()), // not a CA
    extension(EXTENDED_KEY_USAGE, false, sequence(SERVER_AUTH)),
    extension(SUBJECT_ALT_NAME, false, sequence(...names.map(generalName))),
    // Any unique value will do (section 4.2.1.2); this one says which key it is.
    extension(
      SUBJECT_KEY_IDENTIFIER,
      false,
      der(OCTET_STRING, createHash("sha256").update(spki).digest().subarray(0, 20)),
    ),
  ];
}

function extension(oid: Buffer, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der(BOOLEAN, Buffer.from([0xff]))] : [];
  return sequence(oid, ...flag, der(OCTET_STRING, value));
}

function generalName(name: string): Buffer {
  if (isIP(name) !== 0) return der(IP_ADDRESS, addressBytes(name));
  if (!isDnsName(name)) throw new Error(`${JSON.stringify(name)} is neither a DNS name nor an IP address`);
  return der(DNS_NAME, Buffer.from(name, "ascii"));
}

/** Letters, digits, hyphens and underscores in labels of 1 to 63; the first label may be `*`. */
function isDnsName(name: string): boolean {
  if (name.length > DNS_NAME_CHARS_MAX) return false;
  return name
    .split(".")
    .every((label, index) => (index === 0 && label === "*") || /^[A-Za-z0-9_-]{1,63}$/u.test(label));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  if (address.includes("%")) throw new Error(`${address}: an address with a zone cannot stand in a certificate`);
  // A URL's host is the canonical form: hexadecimal groups, at most one `::`, no dotted tail.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => "0"), ...after];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return bytes;
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(SET, sequence(COMMON_NAME, der(UTF8_STRING, Buffer.from(commonName)))));
}

/** 16 random bytes; the first bit pattern 01 keeps it positive and of fixed length. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return bytes;
}

/** UTCTime up to 2049, GeneralizedTime from 2050 on: section 4.1.2.5. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]/gu, "").slice(0, 14);
  if (date.getUTCFullYear() < 2050) return der(UTC_TIME, Buffer.from(`${digits.slice(2)}Z`));
  return der(GENERALIZED_TIME, Buffer.from(`${digits}Z`));
}

function objectIdentifier(hex: string): Buffer {
  return der(OBJECT_IDENTIFIER, Buffer.from(hex, "hex"));
}

function bitString(bytes: Buffer): Buffer {
  const unusedBits = Buffer.from([0]);
  return der(BIT_STRING, Buffer.concat([unusedBits, bytes]));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(SEQUENCE, Buffer.concat(parts));
}

/** Tag, length, value: X.690 section 8.1, the definite form. */
function der(tag: number, value: Buffer): Buffer {
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  if (value.length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, value.length]), value]);
  return Buffer.concat([Buffer.from([tag, 0x82, value.length >> 8, value.length & 0xff]), value]);
}

function base64Lines(bytes: Buffer): string {
  const text = bytes.toString("base64");
  let lines = "";
  for (let at = 0; at < text.length; at += 64) lines += `${text.slice(at, at + 64)}\n`;
  return lines;
}
