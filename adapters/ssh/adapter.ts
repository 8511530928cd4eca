/** The SSH adapter: commands, shells, files and forwards between any client and a real server. */
import { isRefusal } from "../../src/core/decision.ts";
import type { Adapter, Clock } from "../../src/core/ports.ts";
import { accept, serve } from "./listen.ts";
import { sshPolicyTools } from "./policy-tools.ts";
import { endpointOf, settingsOf } from "./settings.ts";
import { comparedKeys } from "./presented-key.ts";
import { connectTarget, isOfHostKey } from "./upstream.ts";
import { SSH_VOCABULARY } from "./vocabulary.ts";

const SYSTEM_CLOCK: Clock = { now: () => Date.now() };

export const sshAdapter: Adapter = {
  name: "ssh",
  vocabularies: [SSH_VOCABULARY],
  keeps: ["limit", "mask", "record", "raw", "session", "alert"],
  policy: sshPolicyTools,
  serve: (door, listen) => serve(door, listen, SYSTEM_CLOCK),
  accept,
  endpoints: (target) => [endpointOf(settingsOf(target))],
  async presented(door, target) {
    const opened = await door.openHouse(target.name, "host key");
    if (isRefusal(opened)) return null;
    try {
      const settings = settingsOf(target);
      const types = settings.hostKeys.map(({ type }) => type);
      const compared = await comparedKeys(door, opened, settings, types);
      return compared === "" ? null : compared;
    } finally {
      door.close(opened.session, { status: "done" });
    }
  },
  async probe(door, target) {
    const opened = await door.openHouse(target.name, "probe");
    if (isRefusal(opened)) return opened.message;
    try {
      const settings = settingsOf(target);
      const connection = await connectTarget(door, opened, settings, settings.user);
      if (isRefusal(connection)) {
        const compared = isOfHostKey(connection) ? await comparedKeys(door, opened, settings) : "";
        return `${connection.message}: ${compared === "" ? connection.detail : compared}`;
      }
      connection.close();
      return null;
    } finally {
      door.close(opened.session, { status: "done" });
    }
  },
};
