/**
 * A stand-in for S3-compatible storage, in memory: signatures are checked, versions kept and locks held as S3 does it.
 * For faults that no real server can be told to have, and for machines without one.
 */
import { createHash } from "node:crypto";
import { type Credentials, signedHeaders } from "../../src/audit/ship/signature.ts";
import { freePort } from "./free-port.ts";

type Version = {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly lockedUntilMs: number;
  readonly mode: string;
};
type Bucket = { readonly lock: boolean; readonly objects: Map<string, Version[]> };

/** Answers in place of the storage; null: it answers itself. */
export type Interfere = (method: string, key: string) => Response | Promise<Response> | null;

export type StandIn = {
  readonly port: number;
  readonly endpoint: string;
  objects(bucket: string): ReadonlyMap<string, Uint8Array>;
  /** Until when every version of an object is locked (0: it is not), the newest first. */
  locks(bucket: string, key: string): readonly number[];
  interfere(how: Interfere | null): void;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
};

export async function startStandIn(credentials: Credentials): Promise<StandIn> {
  const buckets = new Map<string, Bucket>();
  let interfere: Interfere | null = null;
  let versions = 0;

  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const payload = new Uint8Array(await request.arrayBuffer());
    const [bucketName = "", ...rest] = url.pathname.slice(1).split("/").map(decodeURIComponent);
    const key = rest.join("/");
    if (!isSigned(request, url, payload, credentials)) return failure(403, "SignatureDoesNotMatch");
    const strange = await interfere?.(request.method, key);
    if (strange !== null && strange !== undefined) return strange;
    const bucket = buckets.get(bucketName);
    if (key === "" && request.method === "PUT") {
      if (bucket !== undefined) return failure(409, "BucketAlreadyOwnedByYou");
      const lock = request.headers.get("x-amz-bucket-object-lock-enabled") === "true";
      buckets.set(bucketName, { lock, objects: new Map() });
      return new Response();
    }
    if (bucket === undefined) return failure(404, "NoSuchBucket");
    if (key === "" && url.searchParams.has("object-lock")) {
      return bucket.lock
        ? new Response(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
          )
        : failure(404, "ObjectLockConfigurationNotFoundError");
    }
    const all = bucket.objects.get(key) ?? [];
    if (key === "" && url.searchParams.has("versions")) {
      const prefix = url.searchParams.get("prefix") ?? "";
      const items = [...bucket.objects]
        .filter(([name]) => name.startsWith(prefix))
        .flatMap(([name, found]) =>
          found.map(({ id }) => `<Version><Key>${name}</Key><VersionId>${id}</VersionId></Version>`),
        );
      return new Response(`<ListVersionsResult>${items.join("")}</ListVersionsResult>`);
    }
    if (key === "" && url.searchParams.has("list-type")) {
      const prefix = url.searchParams.get("prefix") ?? "";
      const names = [...bucket.objects.keys()].filter((name) => name.startsWith(prefix));
      const items = names.map((name) => `<Contents><Key>${name.replaceAll("&", "&amp;")}</Key></Contents>`);
      return new Response(`<ListBucketResult>${items.join("")}</ListBucketResult>`);
    }
    if (request.method === "PUT") {
      const md5 = request.headers.get("content-md5");
      if (md5 !== null && md5 !== createHash("md5").update(payload).digest("base64")) return failure(400, "BadDigest");
      const mode = request.headers.get("x-amz-object-lock-mode") ?? "";
      const until = request.headers.get("x-amz-object-lock-retain-until-date");
      if (mode !== "" && (!bucket.lock || md5 === null || until === null)) return failure(400, "InvalidRequest");
      const version = {
        id: `v${versions++}`,
        bytes: payload,
        mode,
        lockedUntilMs: until === null ? 0 : Date.parse(until),
      };
      bucket.objects.set(key, bucket.lock ? [version, ...all] : [version]);
      return new Response();
    }
    if (request.method === "DELETE") {
      const id = url.searchParams.get("versionId");
      // Without an id a bucket that keeps versions only hides them; nothing here looks for what is hidden.
      if (id === null && bucket.lock) return new Response(null, { status: 204 });
      const going = all.filter((version) => id === null || version.id === id);
      if (going.some(({ lockedUntilMs }) => lockedUntilMs > Date.now())) return failure(403, "AccessDenied");
      const left = all.filter((version) => !going.includes(version));
      if (left.length === 0) bucket.objects.delete(key);
      else bucket.objects.set(key, left);
      return new Response(null, { status: 204 });
    }
    const newest = all[0];
    if (newest === undefined) return failure(404, "NoSuchKey");
    const headers: Record<string, string> = newest.mode === "" ? {} : { "x-amz-object-lock-mode": newest.mode };
    headers["content-length"] = `${newest.bytes.length}`;
    return new Response(request.method === "HEAD" ? null : newest.bytes.slice(), { headers });
  };

  const serve = (port: number) => Bun.serve({ hostname: "127.0.0.1", port, fetch: answer, idleTimeout: 0 });
  // Not one of the system's choice, which somebody else may have while this is down.
  const port = await freePort();
  let server = serve(port);
  const kill = async (): Promise<void> => server.stop(true);
  return {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    objects: (name) =>
      new Map(
        [...(buckets.get(name)?.objects ?? [])].flatMap(([key, [newest]]) => (newest ? [[key, newest.bytes]] : [])),
      ),
    locks: (name, key) => (buckets.get(name)?.objects.get(key) ?? []).map(({ lockedUntilMs }) => lockedUntilMs),
    interfere: (how) => {
      interfere = how;
    },
    kill,
    restart: async () => {
      server = serve(port);
    },
    stop: kill,
  };
}

/** Signs again what was said to be signed, and compares. */
function isSigned(request: Request, url: URL, payload: Uint8Array, credentials: Credentials): boolean {
  const authorization = request.headers.get("authorization") ?? "";
  const names = authorization.split("SignedHeaders=")[1]?.split(",")[0]?.split(";") ?? [];
  const own = new Set(["host", "x-amz-content-sha256", "x-amz-date"]);
  const headers = Object.fromEntries(
    names.filter((name) => !own.has(name)).map((name) => [name, request.headers.get(name) ?? ""]),
  );
  const date = request.headers.get("x-amz-date") ?? "";
  const [day, time] = [date.slice(0, 8), date.slice(9, 15)];
  const iso = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}Z`;
  if (!Number.isFinite(Date.parse(iso))) return false;
  const expected = signedHeaders({ method: request.method, url, headers, payload }, credentials, Date.parse(iso));
  return expected["authorization"] === authorization;
}

function failure(status: number, code: string): Response {
  return new Response(`<Error><Code>${code}</Code><Message>${code} it is</Message></Error>`, { status });
}
