/** What the demo says in JSON: where everything is, and what came of the tour. */
import type { LogEntry } from "../../audit/query.ts";
import type { Gateway } from "../../main.ts";
import { psqlLine, sshLine, urlOf } from "./recipes.ts";
import type { RecipeParts } from "./recipes.ts";
import { PEOPLE } from "./tour.ts";
import type { Visit } from "./tour.ts";
import { WEB_TARGET } from "./web-server.ts";
import type { WebVisit } from "./web-tour.ts";

export type AnswerParts = Omit<RecipeParts, "shellSession"> & { readonly gateway: Gateway };

export function answerOf(
  parts: AnswerParts,
  visits: readonly Visit[],
  webVisits: readonly WebVisit[],
  record: readonly LogEntry[],
): object {
  const { folder, gateway, port, ssh, tokens } = parts;
  return {
    folder: folder.path,
    config: folder.configFile,
    policies: folder.policies,
    data: folder.data,
    listeners: gateway.listeners,
    people: PEOPLE.map(({ subject, kind, groups }) => ({
      subject,
      kind,
      groups,
      token: tokens[subject],
      url: urlOf(subject, tokens[subject], port),
      psql: psqlLine(subject, tokens[subject], port),
      ssh: ssh === null ? null : sshLine(tokens[subject], folder.configFile),
    })),
    tour: [
      ...visits.map(({ subject, target, sql, reply }) => ({ subject, target, sql, ...reply })),
      ...webVisits.map(({ subject, command, stdout, stderr, status }) => ({
        subject,
        target: WEB_TARGET,
        command,
        stdout,
        stderr,
        status,
      })),
    ],
    withoutTerminals: ssh?.noTerminals ?? null,
    log: record.map((entry): unknown => JSON.parse(entry.json)),
  };
}
