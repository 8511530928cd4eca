/** SSH through weir, beside sshd itself and ProxyJump through a second sshd: logins, commands, throughput and memory. */
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { MEASURES, type Scale } from "./ssh/measures.ts";
import { measureMemory } from "./ssh/memory.ts";
import { reportLine, type Result, summary } from "./ssh/report.ts";
import { BenchRoads } from "./ssh/roads.ts";

const USAGE = `usage: ./dev bench ssh [options]
  --quick         a small run that shows that everything works; its numbers mean little
  --rounds N      alternating rounds, 3 when left out
  --only PATTERN  measures whose name contains it, several separated by commas: ${MEASURES.map(({ name }) => name).join(", ")}, memory
weir runs from the sources, or is the binary that WEIR_BINARY names.`;

/** Above this share of the cores, others' work is part of the numbers. */
const LOAD_SHARE_MAX = 0.25;
/**
 * So many sessions that what a collector has not come to yet (some ten megabytes, whenever it last ran) is little
 * for each: over a hundred, two runs in a row said 73 and 203 KB.
 */
const FULL: Scale = { logins: 30, commands: 2_000, questions: 10_000, bytes: 1_000_000_000, sessions: 400 };
const QUICK: Scale = { logins: 5, commands: 100, questions: 500, bytes: 50_000_000, sessions: 20 };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      only: { type: "string", default: "" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const scale = values.quick ? QUICK : FULL;
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const patterns = values.only.split(",").filter((pattern) => pattern !== "");
  const isWanted = (name: string): boolean =>
    patterns.length === 0 || patterns.some((pattern) => name.includes(pattern));
  const load = loadavg()[0] ?? 0;
  if (load > availableParallelism() * LOAD_SHARE_MAX) {
    console.log(`This machine is busy (load ${load.toFixed(1)}): what follows says little about a quiet one.\n`);
  }
  const roads = await BenchRoads.start(scale.bytes);
  try {
    // Before the load, which leaves compiled code and grown heaps behind.
    if (isWanted("memory")) console.log(await measureMemory(roads, scale.sessions));
    const results: Result[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const [index, measure] of MEASURES.filter(({ name }) => isWanted(name)).entries()) {
        // Whoever goes first finds colder caches: the order turns.
        const first = (round + index) % roads.all.length;
        for (const road of [...roads.all.slice(first), ...roads.all.slice(0, first)]) {
          const value = await measure.run(roads, road, scale);
          results.push({ measure, road: road.name, value });
          console.error(reportLine(measure, road.name, value));
        }
      }
    }
    console.log(summary(results));
  } finally {
    await roads.stop();
  }
}

await main();
