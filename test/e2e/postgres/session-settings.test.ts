/** A session's settings through the gateway: reported where they change, and kept as the startup packet gave them. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { encodeQuery } from "../../../adapters/postgres/protocol/frontend.ts";
import { Roads } from "./roads.ts";
import { TEST_TIME_MS_MAX, type WireClient } from "./wire-client.ts";

setDefaultTimeout(TEST_TIME_MS_MAX);

let roads: Roads;

beforeAll(async () => {
  roads = await Roads.start();
});

afterAll(async () => {
  await roads.stop();
});

test("changed settings are reported where they change", async () => {
  const seen = await roads.compare(async (client) => {
    await client.ask(
      encodeQuery(
        "SET application_name = 'first'; SELECT 1; SET DateStyle = 'German'; SELECT now()::date - now()::date",
      ),
    );
    await client.ask(encodeQuery("BEGIN; SET TimeZone = 'Asia/Tokyo'"));
    await client.ask(encodeQuery("ROLLBACK"));
    await client.ask(encodeQuery("SET LOCAL application_name = 'outside'; SHOW application_name"));
    await client.ask(encodeQuery("SET IntervalStyle = 'iso_8601'; RESET ALL"));
  });
  expect(seen.filter((line) => line.startsWith("S application_name"))).toEqual([
    "S application_name=",
    "S application_name=first",
    "S application_name=",
  ]);
});

/** The value of a setting as SHOW answers. */
async function show(client: WireClient, name: string): Promise<void> {
  await client.ask(encodeQuery(`SHOW ${name}`));
}

test("settings from the startup packet are what RESET and DISCARD go back to", async () => {
  const parameters = {
    DateStyle: "German, DMY",
    application_name: "reporter",
    TimeZone: "Europe/Berlin",
    extra_float_digits: "2",
    options: "-c statement_timeout=12345 -c search_path=pg_temp,public",
  };
  const seen = await roads.compare(
    async (client) => {
      for (const undo of ["SELECT 1", "RESET ALL", "DISCARD ALL"]) {
        await client.ask(encodeQuery("SET DateStyle = 'ISO'"));
        await client.ask(encodeQuery("SET application_name = 'other'; SET statement_timeout = 0"));
        await client.ask(encodeQuery(undo));
        for (const name of ["DateStyle", "application_name", "TimeZone", "statement_timeout", "search_path"])
          await show(client, name);
      }
    },
    { parameters },
  );
  expect(seen.filter((line) => line === "D German, DMY")).toHaveLength(2);
  expect(seen.filter((line) => line === "D reporter")).toHaveLength(2);
  expect(seen.filter((line) => line === "D 12345ms")).toHaveLength(2);
  expect(seen.filter((line) => line === "D pg_temp,public")).toHaveLength(3);
});

test.each([
  ["is not known", { no_such_setting: "1" }, "42704", "no_such_setting"],
  ["gets a value that it does not take", { TimeZone: "Nowhere/At_All" }, "22023", "Nowhere/At_All"],
  ["stands in options", { options: "-c statement_timeout=soon" }, "22023", "soon"],
  ["needs a restart", { shared_buffers: "1MB" }, "08001", "shared_buffers"],
])(
  "a setting that %s ends the login, and only the operator is told in the server's words",
  async (_, parameters, code, words) => {
    const [direct, ...others] = roads.all;
    await expect(roads.connect(direct, { parameters })).rejects.toThrow(words);
    for (const road of others) {
      const answer = await roads.connect(road, { parameters }).then(
        () => "logged in",
        (error: unknown) => String(error),
      );
      expect(answer).toContain(` C${code} `);
      expect(answer).not.toContain(words);
    }
    for (const gateway of roads.gateways) await gateway.said(words);
  },
);
