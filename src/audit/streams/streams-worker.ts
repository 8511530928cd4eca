/** The Worker of the streams: reads the log behind its writer and sends it on, so that the gateway's thread waits for nothing of it. */
import { join } from "node:path";
import { parentPort } from "node:worker_threads";
import { LogReader } from "../query.ts";
import { StreamCursor } from "./cursor.ts";
import type { StreamName, StreamsNews, StreamsOrder } from "./messages.ts";
import { OtlpSender } from "./otlp.ts";
import type { Sender } from "./sender.ts";
import { Stream } from "./stream.ts";
import { SyslogSender } from "./syslog.ts";

type Start = Extract<StreamsOrder, { kind: "start" }>;

let isEnding = false;
const pauses = new Set<() => void>();

async function pause(timeMs: number): Promise<void> {
  if (isEnding) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      pauses.delete(done);
      resolve();
    };
    const timer = setTimeout(done, timeMs);
    pauses.add(done);
  });
}

function say(news: StreamsNews): void {
  parentPort?.postMessage(news);
}

async function runStream(name: StreamName, { folder, begin }: Start, sender: Sender): Promise<void> {
  const log = LogReader.open(folder);
  const cursor = new StreamCursor(join(folder, `stream-${name}.cursor`));
  try {
    await new Stream({
      log,
      cursor,
      sender,
      begin,
      onState: (state) => say({ kind: "state", name, state }),
      pause,
      isEnding: () => isEnding,
    }).run();
  } finally {
    await sender.close();
    log.close();
  }
}

async function start(order: Start): Promise<void> {
  const { places, source } = order;
  const { syslog, otlp } = places;
  await Promise.all([
    ...(syslog === null ? [] : [runStream("syslog", order, new SyslogSender(syslog, source))]),
    ...(otlp === null ? [] : [runStream("otlp", order, new OtlpSender(otlp, source))]),
  ]);
  say({ kind: "ended" });
}

parentPort?.on("message", (order: StreamsOrder) => {
  if (order.kind === "start") void start(order);
  else {
    isEnding = true;
    for (const done of pauses) done();
  }
});
