/** Medians over rounds, and weir beside ProxyJump and beside sshd itself. */
import { type Measure, median } from "./measures.ts";
import { ROAD_NAMES, type RoadName } from "./roads.ts";

export type Result = { readonly measure: Measure; readonly road: RoadName; readonly value: number };

export function reportLine(measure: Measure, road: RoadName, value: number): string {
  return `${measure.name.padEnd(10)} ${road.padEnd(6)} ${value.toFixed(1)} ${measure.unit}`;
}

export function summary(results: readonly Result[]): string {
  const lines = ["measure            direct      jump      weir   weir/jump  weir/direct"];
  for (const measure of new Set(results.map((result) => result.measure))) {
    const of = (road: RoadName): number =>
      median(results.filter((result) => result.measure === measure && result.road === road).map(({ value }) => value));
    const values = ROAD_NAMES.map((road) => of(road).toFixed(1).padStart(10)).join("");
    const toJump = of("weir") / of("jump");
    const aim = measure.aim === null ? "" : aimWords(measure, measure.aim, toJump);
    lines.push(
      `${measure.name.padEnd(10)} ${measure.unit.padEnd(4)}${values}${toJump.toFixed(2).padStart(12)}${(of("weir") / of("direct")).toFixed(2).padStart(13)}${aim}`,
    );
  }
  return lines.join("\n");
}

function aimWords(measure: Measure, aim: number, toJump: number): string {
  const isReached = measure.isLessBetter ? toJump <= aim : toJump >= aim;
  return `   ${isReached ? "as aimed" : "short of the aim"}: ${measure.isLessBetter ? "at most" : "at least"} ${aim}`;
}
