/**
 * A program for `sftp -D`: an SFTP conversation on its standard streams, before a real SFTP server. Its arguments are the
 * folders that are permitted, none for all; what was judged is written to the file that SFTP_JUDGED names.
 */
import { renameSync, writeFileSync } from "node:fs";
import type { ClientChannel } from "../adapters/ssh/channels.ts";
import { startSftp, within } from "./sftp-world.ts";

const { stdin, stdout, stderr } = process;
let exitStatus = 0;

const client: ClientChannel = {
  onData: (callback) => void stdin.on("data", (bytes: Uint8Array) => callback(bytes, false)),
  onEof: (callback) => void stdin.on("end", callback),
  onDrain: (callback) => void stdout.on("drain", callback),
  onClose: (callback) => void stdin.on("close", callback),
  pause: () => void stdin.pause(),
  resume: () => void stdin.resume(),
  write: (bytes, isStderr) => (isStderr ? stderr : stdout).write(bytes),
  eof: () => {},
  exit: (exit) => {
    exitStatus = exit.kind === "status" ? exit.status : 255;
  },
  close: () => {},
};

const folders = process.argv.slice(2);
const world = await startSftp(client, {
  folder: process.env["SFTP_HOME"] ?? "/",
  ...(folders.length === 0 ? {} : { judge: within(...folders) }),
});
await world.ended;
const judged = process.env["SFTP_JUDGED"];
if (judged !== undefined) {
  // Somebody waits for it, and is to find it whole.
  const told = { judged: world.judged(), outcomes: world.outcomes(), reports: world.reports };
  writeFileSync(`${judged}.new`, JSON.stringify(told));
  renameSync(`${judged}.new`, judged);
}
process.exit(exitStatus);
