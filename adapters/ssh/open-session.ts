/** Opens a client's session at the house: which target it wants, and as which login there. */
import { isRefusal, refusal, type Refusal } from "../../src/core/decision.ts";
import type { Arrival, Door, OpenSession } from "../../src/core/ports.ts";
import { connectFacts } from "./describe.ts";
import { type LoggedIn, readUserName } from "./login.ts";
import { loginOf, settingsOf } from "./settings.ts";

/** `asked`: the login that the client named; null: the target's own. */
type Opened = { readonly opened: OpenSession | Refusal; readonly asked: string | null };

/** `arrival`: through which forward the client comes; null: by itself. */
export async function openSession(
  door: Door,
  { identity, userName }: LoggedIn,
  source: string,
  arrival: Arrival | null,
): Promise<Opened> {
  const { login: asked, targetName } = wantedBy(userName, arrival);
  const opened = await door.open({
    adapter: "ssh",
    identity,
    targetName,
    source,
    ...(arrival === null ? {} : { through: arrival.through }),
    text: arrival === null ? `ssh ${userName}` : `ssh ${userName} through=${arrival.through.operation}`,
    facts: (target) => {
      if (arrival !== null && arrival.part !== null)
        return refusal(
          "denied",
          `the forward leads to "${arrival.part}" of "${target.name}", and there is no such part`,
        );
      const login = loginOf(settingsOf(target), asked);
      if (login !== null) return connectFacts(login);
      return refusal("denied", `the target "${target.name}" does not list the login "${asked}"`);
    },
  });
  return { opened, asked };
}

/** A forward has named the target: who comes through it names the login, in any of the ways there are. */
function wantedBy(userName: string, arrival: Arrival | null): ReturnType<typeof readUserName> {
  const named = readUserName(userName);
  if (arrival === null || named.targetName === arrival.targetName) return named;
  return { login: userName, targetName: arrival.targetName };
}

/** Why the gate ends a session. */
export function reasonOf({ reason }: AbortSignal): Refusal {
  const given: unknown = reason;
  if (typeof given === "object" && given !== null && isRefusal(given)) return given;
  return refusal("internal", "the session was ended");
}
