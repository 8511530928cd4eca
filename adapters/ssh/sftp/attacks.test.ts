/** Attempts to reach, by SFTP, what lies outside of what is permitted: none does, and nothing outside is as much as looked at. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import attackFile from "../../../test/corpus/ssh/sftp-attacks.json";
import { codeOf, MemoryClient, type Reply, SftpClient } from "../../../test/sftp-client.ts";
import { startSftp, within } from "../../../test/sftp-world.ts";
import { writeAttributes, writeString } from "./protocol/fields.ts";
import { FX, FXP, OPEN } from "./protocol/types.ts";

const stepSchema = v.union([
  v.tuple([
    v.literal("open"),
    v.string(),
    v.array(v.picklist(["read", "write", "append", "create", "truncate", "exclusive"])),
  ]),
  v.tuple([
    v.picklist([
      "stat",
      "lstat",
      "statvfs",
      "realpath",
      "expand-path",
      "opendir",
      "readlink",
      "remove",
      "rmdir",
      "mkdir",
      "setstat",
      "lsetstat",
    ]),
    v.string(),
  ]),
  v.tuple([v.picklist(["rename", "posix-rename", "hardlink", "symlink"]), v.string(), v.string()]),
]);
type Step = v.InferOutput<typeof stepSchema>;

/**
 * refused: the last step is denied. failed: it is permitted, and comes to nothing at the target. done: it does something
 * inside. All steps are sent at once.
 */
const attacks = v.parse(
  v.array(
    v.strictObject({
      name: v.string(),
      steps: v.pipe(v.array(stepSchema), v.minLength(1)),
      expect: v.picklist(["refused", "failed", "done"]),
    }),
  ),
  attackFile,
);

let base: string;
let open: string;
let closed: string;

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "weir-sftp-attacks-")));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

beforeEach(() => {
  for (const name of readdirSync(base)) rmSync(join(base, name), { recursive: true, force: true });
  open = join(base, "open");
  closed = join(base, "closed");
  for (const folder of [
    open,
    closed,
    `${open}-too`,
    join(open, "folder"),
    join(closed, "empty"),
    join(closed, "inner"),
  ]) {
    mkdirSync(folder);
  }
  for (const file of [join(closed, "secret"), join(`${open}-too`, "secret"), join(open, "note")]) {
    writeFileSync(file, `content of ${file}`);
    chmodSync(file, 0o640);
  }
  symlinkSync("secret", join(closed, "link"));
  symlinkSync("../open/note", join(closed, "back"));
  const links = {
    "to-secret": "../closed/secret",
    "to-secret-absolute": join(closed, "secret"),
    "to-to-secret": "to-secret",
    "to-closed": "../closed",
    "to-empty": "../closed/empty",
    "to-inner": "../closed/inner",
    "to-new": "../closed/new",
    "to-root": "/",
    "folder/to-folder": "../folder",
    circle: "circle-back",
    "circle-back": "circle",
  };
  for (const [name, content] of Object.entries(links)) symlinkSync(content, join(open, name));
});

/** Everything below a folder, with what would change if anybody touched it. */
function picture(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .toSorted()
    .map((path) => {
      const stat = lstatSync(path);
      const content = stat.isSymbolicLink() ? readlinkSync(path) : stat.isFile() ? readFileSync(path, "utf8") : "";
      return `${path} ${stat.mode} ${stat.nlink} ${stat.ino} ${stat.mtimeMs} ${content}`;
    });
}

function pathOf(text: string): string | Uint8Array {
  if (text.startsWith("hex:")) return Uint8Array.fromHex(text.slice(4));
  return text.replaceAll("{open}", open).replaceAll("{closed}", closed);
}

async function take(client: SftpClient, step: Step): Promise<Reply> {
  const first = pathOf(step[1]);
  const extension = { statvfs: "statvfs@openssh.com", "expand-path": "expand-path@openssh.com" } as const;
  switch (step[0]) {
    case "open": {
      const flags = step[2].reduce((all, name) => all | OPEN[name], 0);
      return client.open(first, flags);
    }
    case "statvfs":
    case "expand-path":
      return client.extended(extension[step[0]], (writer) => writeString(writer, first));
    case "mkdir":
    case "setstat": {
      return client.request(FXP[step[0]], (writer) =>
        writeAttributes(writeString(writer, first), { permissions: 0o777 }),
      );
    }
    case "lsetstat":
      return client.extended("lsetstat@openssh.com", (writer) =>
        writeAttributes(writeString(writer, first), { permissions: 0o777 }),
      );
    case "rename":
    case "symlink":
      return client.request(FXP[step[0]], (writer) => writeString(writeString(writer, first), pathOf(step[2])));
    case "posix-rename":
    case "hardlink":
      return client.extended(`${step[0]}@openssh.com`, (writer) =>
        writeString(writeString(writer, first), pathOf(step[2])),
      );
    default:
      return client.path(FXP[step[0]], first);
  }
}

test.each(attacks.map((attack) => [attack.name, attack] as const))("%s", async (_, attack) => {
  const channel = new MemoryClient();
  const client = SftpClient.through(channel);
  const world = await startSftp(channel, { folder: open, judge: within(open) });
  try {
    await client.hello();
    const outside = [...picture(closed), ...picture(`${open}-too`)];
    const replies = await Promise.all(attack.steps.map(async (step) => take(client, step)));
    const last = replies.at(-1);
    if (last === undefined) throw new Error("there is no step");
    const code = codeOf(last);
    if (attack.expect === "refused") expect(code).toBe(FX.permissionDenied);
    else if (attack.expect === "done") expect(code).toBe(FX.ok);
    else expect<(number | string)[]>([FX.noSuchFile, FX.failure, FX.badMessage]).toContain(code);
    expect([...picture(closed), ...picture(`${open}-too`)]).toEqual(outside);
    expect(world.reports).toEqual([]);
  } finally {
    world.target.close();
  }
});

test("no folder whose contents are guarded gets another name, and no other folder gets its name", async () => {
  const channel = new MemoryClient();
  const client = SftpClient.through(channel);
  const world = await startSftp(channel, {
    folder: open,
    // As a guard on `/**/keys/**` has it.
    judge: ({ accesses }) =>
      !accesses.some(({ facts: { paths } }) => Array.isArray(paths) && paths.some((path) => path.includes("/keys/"))),
  });
  try {
    await client.hello();
    mkdirSync(join(open, "guarded/keys"), { recursive: true });
    const denied: Step[] = [
      ["rename", "guarded/keys", "harmless"],
      ["posix-rename", "guarded/keys", "harmless"],
      ["rename", "folder", "keys"],
      ["posix-rename", "folder", "to-inner/keys"],
      ["symlink", "folder", "keys"],
      ["symlink", "made-later", "keys"],
    ];
    for (const step of denied) {
      expect([step, codeOf(await take(client, step))]).toEqual([step, FX.permissionDenied]);
    }
    // A file and a link hold nothing that could be meant.
    for (const step of [
      ["rename", "note", "keys"],
      ["rename", "keys", "noted"],
      ["symlink", "noted", "keys"],
      ["rename", "keys", "linked"],
      ["rename", "folder", "folded"],
    ] as const) {
      expect([step, codeOf(await take(client, [...step]))]).toEqual([step, FX.ok]);
    }
    expect(world.reports).toEqual([]);
  } finally {
    world.target.close();
  }
});

test("there are enough of them, and each has a name of its own", () => {
  expect(attacks.length).toBeGreaterThanOrEqual(80);
  expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
});
