/** A bucket of S3-compatible storage: objects put, read, and deleted with all their versions. */
import { createHash } from "node:crypto";
import { type Answer, boundedFetch, REQUEST_MS_MAX, ShipError } from "./bounded-fetch.ts";
import { encodePath, signedHeaders } from "./signature.ts";

/** Where the bucket is, and who may write to it. */
export type BucketPlace = {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
};

/** Are new objects locked although nobody asked for it? unknown: the bucket does not say. */
export type DefaultLock = "none" | "locked" | "unknown";

/** Longer answers than this to a request that is not for an object are none. */
const TEXT_BYTES_MAX = 4 * 1024 * 1024;
/** So much room an answer gets that says what is wrong. */
const ERROR_BYTES_MAX = 64 * 1024;

/**
 * Bun's own client can set neither the headers of an object lock nor the Content-MD5 that S3 asks for with them
 * (oven-sh/bun#23809), and it gives a request no time limit; so requests are made and signed here.
 */
export class S3Bucket {
  /** For people: without secrets. */
  readonly where: string;
  readonly #place: BucketPlace;
  readonly #base: string;

  constructor(place: BucketPlace) {
    this.#place = place;
    // The form with the bucket in the path: all servers understand it, and it needs no certificate for each bucket.
    const endpoint = place.endpoint.endsWith("/") ? place.endpoint.slice(0, -1) : place.endpoint;
    this.#base = `${endpoint}/${encodePath(place.bucket)}`;
    this.where = this.#base;
  }

  /** Puts an object; until `lockedUntilMs` (null: not locked) it can be neither deleted nor changed, by anybody. */
  async put(key: string, bytes: Uint8Array<ArrayBuffer>, type: string, lockedUntilMs: number | null): Promise<void> {
    const headers: Record<string, string> = {
      "content-type": type,
      "content-md5": createHash("md5").update(bytes).digest("base64"),
    };
    if (lockedUntilMs !== null) {
      headers["x-amz-object-lock-mode"] = "COMPLIANCE";
      headers["x-amz-object-lock-retain-until-date"] = new Date(lockedUntilMs).toISOString();
    }
    const answer = await this.#send("PUT", key, { headers, payload: bytes });
    if (answer.status !== 200) throw refused(`put ${key}`, answer);
  }

  /** The object's bytes; null: there is none. Throws when it is larger than `bytesMax`. */
  async get(key: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const answer = await this.#send("GET", key, { bytesMax: Math.max(bytesMax, ERROR_BYTES_MAX) });
    if (answer.status === 404 && errorCode(answer) !== "NoSuchBucket") return null;
    if (answer.status !== 200) throw refused(`read ${key}`, answer);
    if (answer.body.length > bytesMax) throw new ShipError(`${key} is larger than ${bytesMax} bytes`);
    return answer.body;
  }

  /** Is there such an object, and is it locked? Null: there is none. */
  async head(key: string): Promise<{ readonly bytes: number; readonly locked: boolean } | null> {
    const answer = await this.#send("HEAD", key, {});
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw refused(`look at ${key}`, answer);
    return {
      bytes: Number(answer.headers.get("content-length") ?? Number.NaN),
      locked: answer.headers.get("x-amz-object-lock-mode") !== null,
    };
  }

  /** The keys that begin so: the first thousand of them. */
  async list(prefix: string): Promise<readonly string[]> {
    const answer = await this.#send("GET", "", { query: { "list-type": "2", prefix } });
    if (answer.status !== 200) throw refused(`list ${prefix}`, answer);
    return text(answer)
      .split("<Contents>")
      .slice(1)
      .map((item) => unescape(between(item, "<Key>", "</Key>")));
  }

  /** Deletes an object; where the bucket keeps versions, they stay. False: that is not allowed. */
  async delete(key: string): Promise<boolean> {
    const answer = await this.#send("DELETE", key, {});
    if (answer.status === 403) return false;
    if (![200, 204, 404].includes(answer.status)) throw refused(`delete ${key}`, answer);
    return true;
  }

  /**
   * Deletes an object with all its versions, so that nothing of it can be had back. Throws when one is left.
   */
  async deleteAll(key: string): Promise<void> {
    const listed = await this.#send("GET", "", { query: { versions: "", prefix: key }, bytesMax: TEXT_BYTES_MAX });
    const versions = listed.status === 200 ? versionsOf(key, text(listed)) : [];
    // Not every storage can list versions; one that will not is no such storage.
    if (listed.status !== 200 && ![400, 404, 405, 501].includes(listed.status)) throw refused("list versions", listed);
    for (const version of versions.length === 0 ? [null] : versions) {
      const answer = await this.#send("DELETE", key, version === null ? {} : { query: { versionId: version } });
      if (answer.status !== 204 && answer.status !== 200 && answer.status !== 404) {
        throw refused(`delete ${key}`, answer);
      }
    }
  }

  /** Would the bucket lock what is put into it without a lock? */
  async defaultLock(): Promise<DefaultLock> {
    const answer = await this.#send("GET", "", { query: { "object-lock": "" } });
    if (answer.status === 200) return text(answer).includes("<DefaultRetention>") ? "locked" : "none";
    // No object lock in this bucket, or none in this storage at all.
    if ([400, 404, 405, 501].includes(answer.status) && errorCode(answer) !== "NoSuchBucket") return "none";
    return "unknown";
  }

  async #send(
    method: "GET" | "HEAD" | "PUT" | "DELETE",
    key: string,
    request: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly query?: Readonly<Record<string, string>>;
      readonly payload?: Uint8Array<ArrayBuffer>;
      readonly bytesMax?: number;
    },
  ): Promise<Answer> {
    const { headers = {}, query = {}, payload = new Uint8Array(0), bytesMax = TEXT_BYTES_MAX } = request;
    const url = new URL(key === "" ? this.#base : `${this.#base}/${encodePath(key)}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const signed = signedHeaders({ method, url, headers, payload }, this.#place, Date.now());
    const body = method === "PUT" ? { body: payload } : {};
    return boundedFetch(url.href, { method, headers: signed, ...body }, { bytesMax, timeMsMax: REQUEST_MS_MAX });
  }
}

/** What storage said when it did not do as asked. */
function refused(what: string, answer: Answer): ShipError {
  const code = errorCode(answer);
  const message = between(text(answer), "<Message>", "</Message>");
  const said = [code, message === "" ? "" : `(${message.slice(0, 200)})`].filter((part) => part !== "").join(" ");
  return new ShipError(`the storage did not ${what}: ${said === "" ? "" : `${said}, `}HTTP ${answer.status}`);
}

function errorCode(answer: Answer): string {
  return between(text(answer), "<Code>", "</Code>");
}

function text(answer: Answer): string {
  return new TextDecoder().decode(answer.body);
}

/** What stands between two marks, as it is written; empty when they are not there. */
function between(xml: string, open: string, close: string): string {
  const from = xml.indexOf(open);
  const to = from === -1 ? -1 : xml.indexOf(close, from);
  return to === -1 ? "" : xml.slice(from + open.length, to);
}

/** The ids of all versions (and delete markers) of exactly this key, in a listing of versions. */
function versionsOf(key: string, xml: string): string[] {
  const found: string[] = [];
  for (const [open, close] of [
    ["<Version>", "</Version>"],
    ["<DeleteMarker>", "</DeleteMarker>"],
  ] as const) {
    for (const part of xml.split(open).slice(1)) {
      const item = part.slice(0, Math.max(0, part.indexOf(close)));
      const id = between(item, "<VersionId>", "</VersionId>");
      if (unescape(between(item, "<Key>", "</Key>")) === key && id !== "") found.push(id);
    }
  }
  return found;
}

/** Text of XML as it was meant. */
function unescape(xml: string): string {
  return xml
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#34;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}
