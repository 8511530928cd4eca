/** AWS Signature Version 4 for one request to S3-compatible storage, with the hash of its payload signed. */
import { createHash, createHmac } from "node:crypto";

export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
};

export type SignedRequest = {
  readonly method: string;
  /** Its path is encoded already, as encodePath() does it. */
  readonly url: URL;
  /** Lower-case names; those with `x-amz-` and `content-md5` are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
};

/** Reserved characters that encodeURIComponent() does not encode. */
const LEFT_ALONE = "!'()*";
const ALGORITHM = "AWS4-HMAC-SHA256";

/** The headers to send: those given, and what the signature needs. `now`: the request's time in milliseconds. */
export function signedHeaders(request: SignedRequest, credentials: Credentials, now: number): Record<string, string> {
  // 2026-11-21T05:15:00.000Z without punctuation and fraction.
  const time = `${new Date(now).toISOString().slice(0, 19).replaceAll("-", "").replaceAll(":", "")}Z`;
  const payloadHash = createHash("sha256").update(request.payload).digest("hex");
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.url.host,
    "x-amz-content-sha256": payloadHash,
    "x-amz-date": time,
  };
  const names = Object.keys(headers).toSorted();
  const query = [...request.url.searchParams]
    .map(([name, value]) => `${encodePart(name)}=${encodePart(value)}`)
    .toSorted()
    .join("&");
  const canonical = [
    request.method,
    request.url.pathname,
    query,
    ...names.map((name) => `${name}:${headers[name]?.trim() ?? ""}`),
    "",
    names.join(";"),
    payloadHash,
  ].join("\n");
  const day = time.slice(0, 8);
  const scope = `${day}/${credentials.region}/s3/aws4_request`;
  const toSign = [ALGORITHM, time, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
  let key: Uint8Array = Buffer.from(`AWS4${credentials.secretAccessKey}`);
  for (const part of [day, credentials.region, "s3", "aws4_request"]) key = hmac(key, part);
  const signature = Buffer.from(hmac(key, toSign)).toString("hex");
  const { host: _, ...sent } = headers;
  return {
    ...sent,
    authorization: `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`,
  };
}

/** A key of an object as it stands in a path: everything but the unreserved characters and `/` as percent and hex. */
export function encodePath(key: string): string {
  return key.split("/").map(encodePart).join("/");
}

function encodePart(part: string): string {
  let encoded = encodeURIComponent(part);
  for (const char of LEFT_ALONE) {
    encoded = encoded.replaceAll(char, `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  }
  return encoded;
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}
