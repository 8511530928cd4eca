/**
 * A gateway's worth of recording in a process of its own, to be killed and looked into:
 * `recording-child.ts FOLDER RECIPIENT SESSIONS [once]`. With `once` each session is recorded once, and then it waits.
 */
import { writeSync } from "node:fs";
import { AuditLog } from "../../src/audit/audit.ts";
import type { SessionRecording } from "../../src/core/recording.ts";
import { KeptRecorder } from "../../src/record/recorder.ts";
import { inputLine, sessionOf } from "../recordings.ts";

const [folder = "", recipient = "", sessions = "1", mode = ""] = process.argv.slice(2);
const clock = { now: () => Date.now() };

/** One line for the parent, written before anything else happens. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}

const log = await AuditLog.open({ folder, origin: "test", clock });
// What is told to an operator is none of the lines: a slow disk is told of too.
const recorder = new KeptRecorder({ folder, recipients: [recipient], log, clock, say: () => {} });
await recorder.start();

/** Writes until it is told to pause, and once more when there is room. */
async function fill(recording: SessionRecording, lines: number): Promise<void> {
  for (let count = 0; count < lines; count++) {
    const stream = count % 2 === 0 ? "clear" : "sealed";
    const drained = Promise.withResolvers<void>();
    recording.onDrain(() => drained.resolve());
    if (!recording.write(stream, inputLine(`${stream} ${count} ${"x".repeat(20_000)}`))) await drained.promise;
  }
}

async function session(id: string, lines: number): Promise<void> {
  const recording = await recorder.open(
    sessionOf(id),
    (failure) => say(`failed ${id} ${failure.detail}`),
    "transcript",
  );
  say(`open ${recording.id}`);
  await fill(recording, lines);
  recording.end();
}

async function sessionsOf(n: number): Promise<void> {
  for (let count = 0; ; count++) await session(`${process.pid}-${n}-${count}`, 1 + ((n + count) % 150));
}

if (mode === "once") {
  for (let n = 0; n < Number(sessions); n++) await session(`S${n}`, 120);
  // Stays open while it is looked into.
  const open = await recorder.open(sessionOf("open"), () => {}, "transcript");
  await fill(open, 300);
  say("done");
  setInterval(() => {}, 1000);
} else {
  for (let n = 0; n < Number(sessions); n++) void sessionsOf(n);
}
