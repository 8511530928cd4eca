/** What the audit log costs: durable records a second with their latency and flushes, and reading a log of up to millions of entries. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bigLog } from "./audit/big-log.ts";
import { countingEnvironment } from "./audit/fsync-count.ts";
import { asking, gatewayMemory, indexing, opening, verifying } from "./audit/reading.ts";
import { flush, handOver, writing, type Written } from "./audit/writing.ts";

const USAGE = `usage: ./dev bench audit [options]
  --entries N      size of the log that is read (200000); 10000000 takes 12 GB of disk and some minutes
  --keep           leave that log and its index in .cache for the next run
  --seconds N      for each number of sessions (3)
  --only PART      writing or reading
  --json           one JSON object instead of tables`;

const { values } = parseArgs({
  options: {
    entries: { type: "string", default: "200000" },
    keep: { type: "boolean", default: false },
    seconds: { type: "string", default: "3" },
    only: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const [entries, seconds] = [Number(values.entries), Number(values.seconds)];
if (values.help || !(entries >= 1000) || !(seconds > 0)) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}
const MODES = ["strict", "release", "relaxed"] as const;
const say = (line: string): void =>
  (values.json ? process.stderr.write(`${line}\n`) : process.stdout.write(`${line}\n`)) as never;

// Not the folder for temporary files, which may be in memory.
const cache = join(import.meta.dir, "../.cache");
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, "bench-audit-"));
const result: Record<string, unknown> = {};
try {
  const counting = process.env["BENCH_FSYNC_FILE"] === undefined ? countingEnvironment(folder) : null;
  if (counting !== null) {
    // Once more, with the counter in place: it must be there before the first library is loaded.
    const again = Bun.spawnSync([process.execPath, ...process.argv.slice(1)], {
      env: { ...process.env, ...counting },
      stdio: ["inherit", "inherit", "inherit"],
    });
    process.exitCode = again.exitCode;
  } else {
    if (values.only !== "reading") await measureWriting();
    if (values.only !== "writing") await measureReading();
    if (values.json) console.log(JSON.stringify(result));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measureWriting(): Promise<void> {
  const disk = flush(folder);
  say(`write and flush of 4 KiB      p50 ${disk.p50Ms.toFixed(2)} ms, p99 ${disk.p99Ms.toFixed(2)} ms`);
  const [seen, fresh] = [await handOver(folder, false), await handOver(folder, true)];
  say(`main thread, text seen before  p50 ${seen.p50Us.toFixed(2)} us, p90 ${seen.p90Us.toFixed(2)} us a record`);
  say(`main thread, text hashed here  p50 ${fresh.p50Us.toFixed(2)} us, p90 ${fresh.p90Us.toFixed(2)} us a record`);
  say("mode     sessions    records/s    p50 ms    p99 ms   fsyncs/s   records/fsync");
  const rows: Written[] = [];
  for (const mode of MODES) {
    for (const sessions of [1, 16, 64, 256]) {
      const row = await writing(mkdtempSync(join(folder, "log-")), mode, sessions, seconds);
      rows.push(row);
      const { recordsPerSecond, p50Ms, p99Ms, fsyncsPerSecond } = row;
      const flushes =
        fsyncsPerSecond === null
          ? ["-", "-"]
          : [String(fsyncsPerSecond), (recordsPerSecond / fsyncsPerSecond).toFixed(1)];
      const cells = [sessions, recordsPerSecond, p50Ms.toFixed(2), p99Ms.toFixed(2), ...flushes].map(String);
      const widths = [8, 13, 10, 10, 11, 16];
      say(mode.padEnd(9) + cells.map((cell, at) => cell.padStart(widths[at] ?? 0)).join(""));
    }
  }
  Object.assign(result, { disk, mainThread: { seen, fresh }, writing: rows });
}

async function measureReading(): Promise<void> {
  const small = join(folder, "small");
  const data = await bigLog(values.keep ? cache : folder, entries, (made) => say(`made ${made} entries`));
  const index = values.keep && existsSync(join(data, "search.db")) ? null : indexing(data, () => undefined);
  if (index !== null)
    say(
      `index                         ${Math.round(index.entriesPerSecond)} entries/s, ${index.entryBytes.toFixed(1)} bytes an entry`,
    );
  const asked = await asking(data);
  say("question                                                first ms    p50 ms   found");
  for (const { question, firstMs, p50Ms, found } of asked) {
    say(
      question.padEnd(52) + firstMs.toFixed(1).padStart(12) + p50Ms.toFixed(1).padStart(10) + String(found).padStart(8),
    );
  }
  const opened = await opening(data);
  say(
    `log                           ${opened.entries} entries, ${Math.round(opened.entryBytes)} bytes an entry; opened in ${Math.round(opened.openMs)} ms`,
  );
  const memoryMb = { small: await gatewayMemory(small), large: await gatewayMemory(data) };
  say(
    `a gateway's memory            ${Math.round(memoryMb.small)} MB on a new log, ${Math.round(memoryMb.large)} MB on this one`,
  );
  const verified = await verifying(data);
  say(
    `verification                  ${Math.round(verified.entriesPerSecond)} entries/s, ${verified.findings} findings`,
  );
  Object.assign(result, { entries: opened.entries, index, asked, verified, opened, memoryMb });
}
