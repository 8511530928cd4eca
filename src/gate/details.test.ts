/** The operator gets each refusal's detail once under its id, and a flood of them as a count. */
import { beforeEach, expect, test } from "bun:test";
import { refusal, type Refusal } from "../core/decision.ts";
import { Details } from "./details.ts";

let now: number;
let said: string[];
let details: Details;

beforeEach(() => {
  now = 1_000;
  said = [];
  details = new Details({ now: () => now }, (line) => said.push(line));
});

const no = (event: string, detail: string, message = "the target cannot be reached"): Refusal =>
  refusal("target_unavailable", message, { event, detail });

test("a detail is told under the refusal's id, and a refusal without one is not", () => {
  details.tell(no("A-1", "10.0.0.1:22 refused"));
  details.tell(no("A-2", ""));
  details.tell(no("", "nobody's"));
  expect(said).toEqual([
    "A-1: the target cannot be reached: 10.0.0.1:22 refused",
    "the target cannot be reached: nobody's",
  ]);
});

test("the same refusal is told once, however many places tell it", () => {
  for (let n = 0; n < 5; n++) details.tell(no("A-1", "down"));
  now += 200_000;
  details.tell(no("A-1", "down"));
  details.review();
  expect(said).toEqual(["A-1: the target cannot be reached: down"]);
});

test("what is alike becomes a count that names the last, once a minute is over", () => {
  for (let n = 1; n <= 500; n++) details.tell(no(`A-${n}`, "down"));
  expect(said).toHaveLength(3);
  now += 59_999;
  details.review();
  expect(said).toHaveLength(3);
  now += 1;
  details.review();
  expect(said.slice(3)).toEqual(["the target cannot be reached: down: 497 more in a minute, the last A-500"]);
  details.tell(no("A-501", "down"));
  details.review();
  expect(said.slice(4)).toEqual(["A-501: the target cannot be reached: down"]);
});

test("details that differ each time are not a way to flood either", () => {
  for (let n = 1; n <= 500; n++) details.tell(no(`A-${n}`, `down ${n}`));
  expect(said).toHaveLength(60);
  // Nor do those that have a line already get more.
  details.tell(no("B-1", "down 1"));
  expect(said).toHaveLength(60);
  now += 60_000;
  details.tell(no("C-1", "another"));
  expect(said.slice(60)).toEqual([
    "the target cannot be reached: down 1: 1 more in a minute, the last B-1",
    "440 more refusals in that minute, for other reasons, the last A-500",
    "C-1: the target cannot be reached: another",
  ]);
});

test("a clock that is set back begins a new minute", () => {
  for (let n = 1; n <= 4; n++) details.tell(no(`A-${n}`, "down"));
  now -= 500;
  details.tell(no("A-5", "down"));
  expect(said.slice(3)).toEqual([
    "the target cannot be reached: down: 1 more in a minute, the last A-4",
    "A-5: the target cannot be reached: down",
  ]);
});

test("a long detail is cut", () => {
  details.tell(no("A-1", "x".repeat(3_000)));
  expect(said).toEqual([`A-1: the target cannot be reached: ${"x".repeat(2_000)}…`]);
});
