/** Statements that are to be answered through a gateway as by the bare server, but for what is masked, and alike on both twins. */
import { eventsOf, withoutColumns } from "./answers.ts";
import type { Protocol, Step } from "./corpus.ts";
import { anySecretIn, difference } from "./leaks.ts";
import { play } from "./player.ts";
import { Pair, type Road } from "./roads.ts";

export type Answered = {
  readonly steps: readonly Step[];
  /** Columns of results that are another than the bare server's. */
  readonly other?: readonly string[];
  /** The server refuses some of it. */
  readonly fails?: true;
  /** Left out: both. */
  readonly protocol?: Protocol;
};

const PROTOCOLS: readonly Protocol[] = ["simple", "extended"];

/** Those that are answered otherwise, or by the server itself otherwise than `fails` says, with both answers. */
export async function wrongAnswers(road: Road, direct: Road, entries: readonly Answered[]): Promise<unknown[]> {
  const here = Pair.both(road.server);
  const bare = Pair.original(direct.server);
  const wrong: unknown[] = [];
  for (const { steps, other = [], fails = false, protocol: only } of entries) {
    for (const protocol of only === undefined ? PROTOCOLS : [only]) {
      const names = await here.fresh();
      const { original } = await bare.fresh();
      const answers = await play(steps, protocol, road.stage(names.original, "gw_agent"));
      const twin = await play(steps, protocol, road.stage(names.twin, "gw_agent"));
      const wanted = eventsOf(await play(steps, protocol, direct.stage(original, "gw_agent")));
      const got = withoutColumns(eventsOf(answers), other).rest;
      const leak = anySecretIn(answers) ?? difference(answers, twin);
      const isAsSaid = wanted.some((event) => "error" in event) === fails;
      if (leak !== null || !isAsSaid || !Bun.deepEquals(got, withoutColumns(wanted, other).rest))
        wrong.push({ steps, protocol, leak, got, wanted });
    }
  }
  return wrong;
}
