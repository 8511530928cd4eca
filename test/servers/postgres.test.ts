/** Tests that the test servers start, obey their options and leave nothing behind. */
import { expect, test, setDefaultTimeout } from "bun:test";
import { existsSync } from "node:fs";
import { startPostgres } from "./postgres.ts";

// Real servers, on machines that may be busy.
setDefaultTimeout(240_000);

test("a server answers, and is gone after stop", async () => {
  const server = await startPostgres({ sql: "create table t as select 1 as a", settings: { work_mem: "7MB" } });
  expect(server.psql("select a from t; show work_mem")).toBe("1\n7MB");
  expect(() => server.psql("select nonsense")).toThrow("nonsense");
  await server.stop();
  expect(existsSync(server.dataDir)).toBe(false);
  expect(() => server.psql("select 1")).toThrow();
});

test("two servers at once do not meet", async () => {
  const servers = await Promise.all([startPostgres(), startPostgres()]);
  const [a, b] = servers;
  expect(a?.port).not.toBe(b?.port);
  a?.psql("create database only_a");
  expect(b?.psql("select count(*) from pg_database where datname = 'only_a'")).toBe("0");
  await Promise.all(servers.map(async (server) => server.stop()));
});

test("pg_hba lines decide who gets in over TCP", async () => {
  const server = await startPostgres({ hba: ["host all all 127.0.0.1/32 reject"] });
  const client = new Bun.SQL(server.url(), { max: 1 });
  const refused = await client`select 1`.then(() => "", String);
  expect(refused).toContain("pg_hba.conf rejects");
  await client.close();
  await server.stop();
});

test("a process that exits without stop leaves no server and no folder", async () => {
  const script = `
    import { startPostgres } from ${JSON.stringify(`${import.meta.dir}/postgres.ts`)};
    const server = await startPostgres();
    console.log(JSON.stringify([server.port, server.dataDir]));
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const [port, dataDir] = JSON.parse(await new Response(child.stdout).text()) as [number, string];
  expect(await child.exited).toBe(0);
  expect(existsSync(dataDir)).toBe(false);
  expect(
    await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } }).then(
      () => "connected",
      () => "refused",
    ),
  ).toBe("refused");
});
