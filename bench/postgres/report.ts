/** Medians over rounds, ratios between peers, and both as an aligned table. */
import type { MemoryUse } from "./memory.ts";
import type { PeerName } from "./peers.ts";
import type { Measurement } from "./workloads.ts";

/** All rounds of one workload against one peer. */
export type Series = {
  readonly workload: string;
  readonly unit: string;
  readonly peer: PeerName;
  readonly rounds: readonly Measurement[];
};

export type Row = Measurement & {
  readonly workload: string;
  readonly unit: string;
  readonly peer: PeerName;
  readonly valueMin: number;
  readonly valueMax: number;
  /** The value as a share of that peer's in the same run; null when it did not take part. */
  readonly ofPgBouncer: number | null;
  readonly ofDirect: number | null;
  readonly rounds: readonly Measurement[];
};

export function summarize(all: readonly Series[]): readonly Row[] {
  const valueOf = (workload: string, peer: PeerName): number | null => {
    const series = all.find((candidate) => candidate.workload === workload && candidate.peer === peer);
    return series === undefined ? null : median(series.rounds.map((round) => round.value));
  };
  return all.map(({ workload, unit, peer, rounds }) => {
    const values = rounds.map((round) => round.value);
    const value = median(values) ?? 0;
    const share = (other: PeerName): number | null => {
      const base = valueOf(workload, other);
      return base === null || base === 0 ? null : value / base;
    };
    return {
      workload,
      unit,
      peer,
      value,
      valueMin: Math.min(...values),
      valueMax: Math.max(...values),
      p50Ms: median(rounds.map((round) => round.p50Ms)),
      p99Ms: median(rounds.map((round) => round.p99Ms)),
      cpuUs: median(rounds.map((round) => round.cpuUs)),
      ofPgBouncer: share("pgbouncer"),
      ofDirect: share("direct"),
      rounds,
    };
  });
}

export function table(rows: readonly Row[]): string {
  const lines = rows.map((row, index) => [
    row.workload === rows[index - 1]?.workload ? "" : row.workload,
    row.peer,
    row.value.toFixed(row.unit === "tps" ? 0 : 1),
    row.unit,
    `${row.valueMin.toFixed(0)}-${row.valueMax.toFixed(0)}`,
    row.p50Ms?.toFixed(2) ?? "",
    row.p99Ms?.toFixed(2) ?? "",
    row.cpuUs?.toFixed(0) ?? "",
    row.ofPgBouncer?.toFixed(2) ?? "",
    row.ofDirect?.toFixed(2) ?? "",
  ]);
  const head = ["workload", "peer", "median", "", "min-max", "p50 ms", "p99 ms", "cpu us", "/pgbouncer", "/direct"];
  return align([head, ...lines], new Set([2, 4, 5, 6, 7, 8, 9]));
}

export function memoryTable(uses: readonly MemoryUse[]): string {
  const lines = uses.map((use) => [
    use.peer,
    `${use.idleMegabytes.toFixed(0)} MB`,
    `${use.kilobytesPerSession.toFixed(1)} KB`,
    `${use.sessions}`,
  ]);
  return align([["memory", "idle", "per session", "sessions"], ...lines], new Set([1, 2, 3]));
}

/** Pads columns; the set names those that are aligned to the right. */
function align(lines: readonly (readonly string[])[], right: ReadonlySet<number>): string {
  const widths = (lines[0] ?? []).map((_cell, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  const middle = Math.floor(known.length / 2);
  const high = known[middle];
  if (high === undefined) return null;
  const low = known[middle - 1] ?? high;
  return known.length % 2 === 1 ? high : (low + high) / 2;
}
