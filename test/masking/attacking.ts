/** Plays attacks on the corpus' database and its twin, straight or through a gateway, and says what each of them got. */
import { type Attack, type Protocol, protocolsOf } from "./corpus.ts";
import { anySecretIn, type Answers, difference, leakIn } from "./leaks.ts";
import { play } from "./player.ts";
import { Pair, type Road } from "./roads.ts";

export type Outcome = {
  readonly name: string;
  /** How the secret came out, as the corpus says it does. */
  readonly leak: string | null;
  /** How the answers tell the database from its twin, where it was played on both. */
  readonly difference: string | null;
  /** Any secret at all in the answers. */
  readonly secret: string | null;
};

/** Plays every attack in every protocol, one after the other, and stops the road. */
export async function attackOn(make: () => Promise<Road>, attacks: readonly Attack[]): Promise<Outcome[]> {
  const road = await make();
  try {
    const outcomes: Outcome[] = [];
    const pair = Pair.both(road.server);
    for (const attack of attacks) {
      for (const protocol of protocolsOf(attack)) outcomes.push(await outcomeOf(road, pair, attack, protocol));
    }
    return outcomes;
  } finally {
    await road.stop();
  }
}

/** Those that got something they should not have. */
export function leaking(outcomes: readonly Outcome[]): readonly Outcome[] {
  return outcomes.filter(({ leak, difference: differs, secret }) => (leak ?? differs ?? secret) !== null);
}

async function outcomeOf(road: Road, pair: Pair, attack: Attack, protocol: Protocol): Promise<Outcome> {
  const { id, leak, canary, setup, steps, role } = attack;
  const names = await pair.fresh();
  const on = async (database: string): Promise<Answers> => {
    if (setup.length > 0) await road.server.superuser(database, ...setup);
    return play(steps, protocol, road.stage(database, role));
  };
  const answers = await on(names.original);
  const twin = road.gateway !== null || leak.kind === "differs" ? await on(names.twin) : null;
  const sql = leak.kind === "contains" ? leak.needleSql : undefined;
  const needle = sql === undefined ? {} : { needle: await road.server.superuser(names.original, sql) };
  return {
    name: `${id} ${protocol}`,
    leak: leakIn(answers, twin, { leak, canary, ...needle }),
    difference: twin === null ? null : difference(answers, twin),
    secret: anySecretIn(answers),
  };
}
