/** Every client runs commands and moves files through the gateway as it does directly. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digest, sampleBytes } from "./bytes.ts";
import { CLIENTS } from "./clients.ts";
import type { Ran } from "./programs.ts";
import { SshRoads, TEST_TIME_MS_MAX } from "./roads.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

let roads: SshRoads;
beforeAll(async () => {
  roads = await SshRoads.start();
});
afterAll(async () => roads.stop());

/** dropbear says on stderr that it was told not to look at the host's key. */
const withoutCaution = (ran: Ran): Ran => ({ ...ran, stderr: ran.stderr.replace(/^dbclient: Caution.*\n\n/u, "") });

for (const client of CLIENTS) {
  // Each is in a package of its own, and not all of them are installed everywhere.
  describe.skipIf(client.missing !== null)(client.name, () => {
    test("a command has its status, its output and its errors apart", async () => {
      const command = "echo out; echo problem >&2; exit 42";
      const ran = await roads.compare(async (road) => withoutCaution(await client.exec(road, command)));
      expect(ran).toEqual({ status: 42, stdout: "out\n", stderr: "problem\n" });
    });

    test("a command that a signal kills", async () => {
      const ran = await roads.compare(async (road) => withoutCaution(await client.exec(road, "kill -TERM $$")));
      expect(ran).toEqual({ status: client.ofSignal, stdout: "", stderr: expect.any(String) });
    });

    test("a megabyte goes in and comes out unchanged", async () => {
      const input = sampleBytes(1_000_007);
      const { stdout } = await roads.compare((road) =>
        client.exec(road, "tee copy | sha256sum; cat copy | base64 -w0", { stdin: input }),
      );
      const [line = "", copy = ""] = stdout.split("\n");
      expect(line).toBe(`${digest(input)}  -`);
      expect(digest(Buffer.from(copy, "base64"))).toBe(digest(input));
    });

    test("files are moved over SFTP", async () => {
      const input = sampleBytes(300_000);
      const { status, kept, back } = await roads.compare(async (road) => {
        const local = join(road.folder, "up");
        const down = join(road.folder, "down");
        writeFileSync(local, input);
        const ran = await client.files(road, [
          { do: "mkdir", remote: "folder" },
          { do: "put", local, remote: "folder/a" },
          { do: "rename", from: "folder/a", to: "b" },
          { do: "rmdir", remote: "folder" },
          { do: "put", local, remote: "c" },
          { do: "get", remote: "b", local: down },
          { do: "remove", remote: "c" },
        ]);
        expect(ran).toMatchObject({ status: 0 });
        return { status: ran.status, kept: readdirSync(roads.server.home), back: digest(readFileSync(down)) };
      });
      expect({ status, kept, back }).toEqual({ status: 0, kept: ["b"], back: digest(input) });
    });

    test("a file that is not there is said to be missing", async () => {
      const { isDone, words } = await roads.compare(async (road) => {
        const local = join(road.folder, "missing");
        const { status, stdout, stderr } = await client.files(road, [{ do: "get", remote: "missing", local }]);
        // Some repeat what they were told.
        const told = (stdout + stderr).replaceAll(local, "LOCAL").replace(`"${road.user}"`, '"USER"');
        return { isDone: status === 0, words: told };
      });
      expect({ isDone, words }).toEqual({ isDone: false, words: expect.stringMatching(/no such file|not found/iu) });
    });
  });
}
