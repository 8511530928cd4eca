/** What recording costs: lines and bytes a second in the clear and sealed, and the processor's time for them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AuditLog } from "../src/audit/audit.ts";
import type { RecordingStream, TranscriptLine } from "../src/core/recording.ts";
import { KeptRecorder } from "../src/record/recorder.ts";
import { newAuditor, sessionOf } from "../test/recordings.ts";

const SHAPES: readonly [name: string, bytes: number, line: TranscriptLine][] = [
  [
    "statements",
    16e6,
    { kind: "input", operation: "OP-1", atMs: 1, text: "SELECT a, b FROM t WHERE id = $1", parameters: ["7"] },
  ],
  [
    "rows",
    64e6,
    {
      kind: "rows",
      operation: "OP-1",
      atMs: 1,
      rows: Array.from({ length: 20 }, () => Array<string>(10).fill("a value of a column")),
    },
  ],
];

const folder = mkdtempSync(join(tmpdir(), "weir-bench-recordings-"));
const clock = { now: () => Date.now() };
const { recipient } = await newAuditor();
const log = await AuditLog.open({ folder, origin: "bench", clock });
const recorder = new KeptRecorder({ folder, recipients: [recipient], log, clock, say: (line) => console.error(line) });

for (const stream of ["clear", "sealed"] as const) {
  for (const [name, bytes, line] of SHAPES) await measure(stream, name, bytes, line);
}
await recorder.close();
await log.close();
rmSync(folder, { recursive: true });

async function measure(stream: RecordingStream, name: string, bytes: number, line: TranscriptLine): Promise<void> {
  const size = JSON.stringify(line).length + 1;
  const lines = Math.floor(bytes / size);
  const fail = (failure: Error): never => {
    throw failure;
  };
  const recording = await recorder.open(sessionOf(`${stream} ${name}`), fail, "transcript");
  let room = Promise.withResolvers<void>();
  recording.onDrain(() => room.resolve());
  const [startedMs, cpuBefore] = [performance.now(), process.cpuUsage()];
  let writingMs = 0;
  for (let count = 0; count < lines; count++) {
    const before = performance.now();
    const mayGoOn = recording.write(stream, line);
    writingMs += performance.now() - before;
    if (mayGoOn) continue;
    await room.promise;
    room = Promise.withResolvers();
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  recording.end();
  const rate = `${Math.round(lines / seconds)} lines/s, ${((lines * size) / seconds / 1e6).toFixed(1)} MB/s`;
  const cost = `${((writingMs * 1000) / lines).toFixed(1)} us a line in the gateway's thread, ${((user + system) / 1e3 / ((lines * size) / 1e6)).toFixed(1)} ms of processor a MB`;
  console.log(`${stream.padEnd(6)} ${name.padEnd(10)} (${size} bytes)  ${rate}, ${cost}`);
}
