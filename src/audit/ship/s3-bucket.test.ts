/** Buckets, against versitygw where it is installed and against the stand-in everywhere: put, read, lock, delete. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { findVersitygw, S3_KEYS, type S3Server, startS3 } from "../../../test/servers/s3.ts";
import { S3Bucket } from "./s3-bucket.ts";
import { signedHeaders } from "./signature.ts";

setDefaultTimeout(240_000);

test("signs as Amazon's example does", () => {
  // The example "PUT Object" of Amazon's documentation of Signature Version 4.
  const headers = signedHeaders(
    {
      method: "PUT",
      url: new URL("https://examplebucket.s3.amazonaws.com/test%24file.text"),
      headers: { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
      payload: Buffer.from("Welcome to Amazon S3."),
    },
    {
      accessKeyId: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
      region: "us-east-1",
    },
    Date.UTC(2013, 4, 24),
  );
  expect(headers["authorization"]).toEndWith(
    "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  );
});

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

for (const kind of ["versitygw", "stand-in"] as const) {
  // That server is built for minutes, which only `./dev test --long` does; the stand-in is there everywhere.
  describe.skipIf(kind === "versitygw" && findVersitygw() === null)(
    kind === "versitygw" ? "on versitygw (where it is installed; ./dev test --long installs it)" : `on a ${kind}`,
    () => {
      let server: S3Server;
      beforeAll(async () => {
        server = await startS3(kind);
        await server.makeBucket("plain");
        await server.makeBucket("locked", { lock: true });
      });
      afterAll(async () => server.stop());

      const bucket = (name: string, other: Partial<typeof S3_KEYS> = {}): S3Bucket =>
        new S3Bucket({ ...S3_KEYS, ...other, endpoint: server.endpoint, bucket: name });
      const independent = (name: string): Bun.S3Client =>
        new Bun.S3Client({ ...S3_KEYS, endpoint: server.endpoint, bucket: name });

      test("what is put is there, under any key", async () => {
        for (const key of ["a/b/tile/0/x001/234.p/12", "gw+1/ü $&'()*!~", "-_."]) {
          await bucket("plain").put(key, bytes(key), "text/plain", null);
          expect(await bucket("plain").get(key, 100)).toEqual(bytes(key));
          // Another client's signature and way of naming lead to the same object.
          if (kind === "versitygw") expect(await independent("plain").file(key).text()).toBe(key);
          expect(await bucket("plain").head(key)).toEqual({ bytes: bytes(key).length, locked: false });
        }
        expect(await bucket("plain").get("nothing", 100)).toBeNull();
        expect(await bucket("plain").head("nothing")).toBeNull();
        await expect(bucket("plain").get("-_.", 2)).rejects.toThrow("larger than 2 bytes");
      });

      test("what is locked stays, whoever deletes it", async () => {
        const locked = bucket("locked");
        await locked.put("kept", bytes("kept"), "text/plain", Date.now() + 3_600_000);
        expect((await locked.head("kept"))?.locked).toBe(true);
        await expect(locked.deleteAll("kept")).rejects.toThrow("did not delete kept: AccessDenied");
        await locked.put("free", bytes("free"), "text/plain", null);
        expect((await locked.head("free"))?.locked).toBe(false);
      });

      test("a deletion takes all versions, and no other object", async () => {
        const locked = bucket("locked");
        for (const text of ["one", "two"]) await locked.put("key", bytes(text), "text/plain", null);
        await locked.put("key2", bytes("other"), "text/plain", null);
        await locked.deleteAll("key");
        expect(await locked.head("key")).toBeNull();
        expect(await locked.get("key2", 100)).toEqual(bytes("other"));
        await bucket("plain").put("key", bytes("one"), "text/plain", null);
        await bucket("plain").deleteAll("key");
        expect(await bucket("plain").head("key")).toBeNull();
        await bucket("plain").deleteAll("key");
      });

      test("says whether it would lock by itself", async () => {
        expect(await bucket("plain").defaultLock()).toBe("none");
        expect(await bucket("locked").defaultLock()).toBe("none");
        expect(await bucket("nowhere").defaultLock()).toBe("unknown");
      });

      test("says why it refused", async () => {
        const put = async (to: S3Bucket): Promise<void> => to.put("c", bytes("a"), "text/plain", null);
        await expect(put(bucket("nowhere"))).rejects.toThrow("did not put c: NoSuchBucket");
        await expect(bucket("nowhere").get("a", 10)).rejects.toThrow("did not read a: NoSuchBucket");
        await expect(put(bucket("plain", { secretAccessKey: "wrong" }))).rejects.toThrow("SignatureDoesNotMatch");
        await expect(bucket("plain").put("c", bytes("c"), "text/plain", Date.now() + 60_000)).rejects.toThrow(
          "did not put c: InvalidRequest",
        );
      });
    },
  );
}
