/** The data folder: closed to others, held by one process at a time, and never somebody else's. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataFolderInUse, lockDataFolder, prepareDataFolder, removeStaleSocket, socketPath } from "./data-folder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-data-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe("preparing", () => {
  test("makes the folder for its owner only, with those above it", () => {
    const data = join(folder, "a/b/data");
    prepareDataFolder(data);
    expect(modeOf(data)).toBe(0o700);
    prepareDataFolder(data);
  });

  test("closes a folder that is empty or weir's own", () => {
    const data = join(folder, "data");
    mkdirSync(data);
    chmodSync(data, 0o755);
    prepareDataFolder(data);
    expect(modeOf(data)).toBe(0o700);
    writeFileSync(join(data, "audit.db"), "");
    chmodSync(data, 0o750);
    prepareDataFolder(data);
    expect(modeOf(data)).toBe(0o700);
  });

  test("leaves a folder alone that others use too", () => {
    writeFileSync(join(folder, "letter.txt"), "");
    chmodSync(folder, 0o755);
    expect(() => prepareDataFolder(folder)).toThrow("name a folder of its own");
    expect(modeOf(folder)).toBe(0o755);
    chmodSync(folder, 0o700);
    prepareDataFolder(folder);
  });

  test("refuses what is no folder", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(() => prepareDataFolder(file)).toThrow("cannot be used");
    expect(() => prepareDataFolder(join(file, "data"))).toThrow("cannot be used");
  });
});

describe("the lock", () => {
  const TAKE = `
    import { lockDataFolder } from ${JSON.stringify(join(import.meta.dir, "data-folder.ts"))};
    // Kept, because a lock that nobody holds on to any more is collected and so released.
    globalThis.lock = lockDataFolder(process.argv.at(-1));
    console.log("held");
    setInterval(() => undefined, 1000);
  `;

  test("is held by one, and free again when it is released", () => {
    const lock = lockDataFolder(folder);
    expect(() => lockDataFolder(folder)).toThrow(DataFolderInUse);
    lock.release();
    lockDataFolder(folder).release();
  });

  test("is free again when its holder was killed", async () => {
    const holder = Bun.spawn([process.execPath, "-e", TAKE, folder], { stdout: "pipe", stderr: "inherit" });
    try {
      const { value } = await holder.stdout.getReader().read();
      expect(new TextDecoder().decode(value)).toBe("held\n");
      expect(() => lockDataFolder(folder)).toThrow(DataFolderInUse);
    } finally {
      holder.kill("SIGKILL");
      await holder.exited;
    }
    lockDataFolder(folder).release();
  });
});

describe("the socket", () => {
  test("has a path that the kernel takes, or is refused", () => {
    expect(socketPath(folder)).toEndWith("weir.sock");
    expect(() => socketPath(join(folder, "long".repeat(30)))).toThrow("too long for a local socket");
    const deep = join(process.cwd(), "deep".repeat(20));
    expect(socketPath(deep)).toBe(`${"deep".repeat(20)}/weir.sock`);
  });

  test("that was left behind can be removed, also when there is none", () => {
    writeFileSync(join(folder, "weir.sock"), "");
    removeStaleSocket(folder);
    removeStaleSocket(folder);
    expect(existsSync(join(folder, "weir.sock"))).toBe(false);
  });
});
