/** Somebody who looks into a file with a tool of SQLite's, in a process of their own: `database-stranger.ts FILE SELECT` prints the rows. */
import { writeSync } from "node:fs";
import Database from "libsql";

const [path = "", select = ""] = process.argv.slice(2);
// Whoever closes it and believes to be the last who has it open takes its write-ahead log away.
const tool = new Database(path);
tool.exec(select);
tool.close();
const database = new Database(path, { readonly: true });
writeSync(1, `${JSON.stringify(database.prepare(select).raw(true).all([]))}\n`);
