/** A whole gateway that streams its log: all of it arrives, up to the last entry of the run, and `weir status` says how far it is. */
import { expect, test } from "bun:test";
import { startGateway } from "./gateway.ts";

type Records = { resourceLogs: { scopeLogs: { logRecords: { eventName: string }[] }[] }[] };

test("a gateway streams its log by OTLP, says so, and records when nobody takes it", async () => {
  const events: string[] = [];
  let isThere = false;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      if (!isThere) return new Response("", { status: 503 });
      const { resourceLogs } = (await request.json()) as Records;
      for (const { scopeLogs } of resourceLogs)
        for (const { logRecords } of scopeLogs) events.push(...logRecords.map(({ eventName }) => eventName));
      return Response.json({});
    },
  });
  const url = `http://127.0.0.1:${server.port}/v1/logs`;
  const gateway = await startGateway({ config: { audit: { streams: { otlp: { url } } } } });
  const stream = async (): Promise<{ readonly failure: string | null } | undefined> =>
    (JSON.parse((await gateway.weir("status", "--json")).stdout) as { streams: { failure: string | null }[] })
      .streams[0];
  try {
    await gateway.token("ann");
    let state = await stream();
    while ((state?.failure ?? null) === null) state = await stream();
    expect(state).toMatchObject({
      stream: "otlp",
      where: `127.0.0.1:${server.port}`,
      dropped: 0,
      failure: "it answered 503",
    });
    isThere = true;
    while (!events.includes("stream.failed") || !events.includes("stream.recovered")) await stream();
    expect(events).toContain("token.created");
    expect(await gateway.stop()).toBe(0);
    expect(events.slice(-2)).toEqual(["gateway.stopped", "audit.closed"]);
  } finally {
    await gateway.stop();
    await server.stop(true);
  }
});
