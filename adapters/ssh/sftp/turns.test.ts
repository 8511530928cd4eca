/** The order of requests: nothing overtakes, and no path is resolved while an earlier request may still change it. */
import { expect, test } from "bun:test";
import { type Turn, Turns } from "./turns.ts";

/** A request that notes what is done with it, and does nothing by itself. */
class NotedTurn implements Turn {
  step: Turn["step"] = "new";
  readonly changesNames: boolean;
  readonly heldBytes = 1;
  readonly #name: string;
  readonly #notes: string[];

  constructor(name: string, changesNames: boolean, notes: string[]) {
    this.#name = name;
    this.changesNames = changesNames;
    this.#notes = notes;
  }

  prepare(): void {
    this.step = "preparing";
    this.#notes.push(`resolve ${this.#name}`);
  }

  submit(): void {
    this.step = "submitted";
    this.#notes.push(`judge ${this.#name}`);
  }

  go(): void {
    this.#notes.push(`send ${this.#name}`);
  }
}

test("what comes after a change is resolved when the change was answered, not when it was sent", () => {
  const notes: string[] = [];
  const turns = new Turns(() => true);
  const [change, after] = [new NotedTurn("change", true, notes), new NotedTurn("after", false, notes)];
  turns.add(change);
  turns.add(after);
  turns.advance();
  change.step = "prepared";
  turns.advance();
  change.step = "ready";
  turns.advance();
  expect(notes.splice(0)).toEqual(["resolve change", "judge change", "send change"]);
  turns.settle(change);
  turns.advance();
  expect(notes).toEqual(["resolve after"]);
});

test("what changes nothing is resolved together, and judged and sent in its order", () => {
  const notes: string[] = [];
  const turns = new Turns(() => true);
  const [first, second] = [new NotedTurn("first", false, notes), new NotedTurn("second", false, notes)];
  turns.add(first);
  turns.add(second);
  turns.advance();
  second.step = "prepared";
  turns.advance();
  expect(notes.splice(0)).toEqual(["resolve first", "resolve second"]);
  first.step = "prepared";
  turns.advance();
  expect(notes.splice(0)).toEqual(["judge first", "judge second"]);
  second.step = "ready";
  turns.advance();
  expect([notes, turns.length, turns.heldBytes]).toEqual([[], 2, 2]);
  first.step = "ready";
  turns.advance();
  expect([notes, turns.length, turns.heldBytes]).toEqual([["send first", "send second"], 0, 0]);
});

test("nothing is sent while the target has no room", () => {
  const notes: string[] = [];
  let hasRoom = false;
  const turns = new Turns(() => hasRoom);
  const turn = new NotedTurn("one", false, notes);
  turn.step = "ready";
  turns.add(turn);
  turns.advance();
  expect(notes).toEqual([]);
  hasRoom = true;
  turns.advance();
  expect(notes).toEqual(["send one"]);
});
