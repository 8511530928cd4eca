/** The Postgres adapter: the whole wire protocol between any client and a real server. */
import { isRefusal } from "../../src/core/decision.ts";
import type { Adapter, Clock } from "../../src/core/ports.ts";
import { Databases, settingsOf } from "./databases.ts";
import { accept, serve } from "./listen.ts";
import { postgresPolicyTools } from "./policy-tools.ts";
import { endpointOf } from "./settings.ts";
import { POSTGRES_VOCABULARY } from "./vocabulary.ts";

const SYSTEM_CLOCK: Clock = { now: () => Date.now() };

export const postgresAdapter: Adapter = {
  name: "postgres",
  vocabularies: [POSTGRES_VOCABULARY],
  keeps: ["limit", "mask", "record", "raw", "session", "readOnly", "alert"],
  policy: postgresPolicyTools(SYSTEM_CLOCK),
  serve: (door, listen) => serve(door, listen, SYSTEM_CLOCK),
  accept: (door, stream, arrival) => accept(door, stream, arrival, SYSTEM_CLOCK),
  endpoints: (target) => [endpointOf(settingsOf(target))],
  async probe(door, target) {
    const opened = await door.openHouse(target.name, "probe");
    if (isRefusal(opened)) return opened.message;
    try {
      const { database } = settingsOf(target);
      const databases = new Databases(door, SYSTEM_CLOCK, 0);
      const answer = await databases.get(target, database).logIn(opened, [["application_name", "weir"]], 0, null);
      if (isRefusal(answer)) return `${answer.message}: ${answer.detail}`;
      answer.upstream.close();
      return null;
    } finally {
      door.close(opened.session, { status: "done" });
    }
  },
};
