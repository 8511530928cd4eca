/** What is counted for one operation under limits: all or nothing, with the meters, and its time from when it began. */
import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { refusal, type Refusal } from "../core/decision.ts";
import type { LimitObligation } from "../core/obligation.ts";
import type { Spending } from "../core/ports.ts";
import { Keeping } from "./keeping.ts";

const RULES = ["p"];

/** Counts what was added, up to so many rows. */
class CountingSpending implements Spending {
  readonly added: (readonly [rows: number, bytes: number])[] = [];
  ended = 0;
  readonly #rowsMax: number;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }

  add(rows: number, bytes: number): Refusal | null {
    if (rows > this.#rowsMax) return refusal("limit", "the day's rows are used up", { rules: ["m"] });
    this.added.push([rows, bytes]);
    return null;
  }

  end(): void {
    this.ended++;
  }
}

describe("rows and bytes", () => {
  test("up to the limit, and not one more", () => {
    const keeping = new Keeping("op", { rows: 3, bytes: 10 }, RULES, null);
    expect(keeping.spend(2, 4)).toBeNull();
    expect(keeping.spend(1, 6)).toBeNull();
    expect(keeping.spend(1, 0)).toMatchObject({
      code: "limit",
      message: "policy lets this return or change at most 3 rows",
      rules: RULES,
      event: "op",
    });
    expect(keeping.spend(0, 1)?.message).toBe("policy lets this move at most 10 bytes");
    expect(keeping.spend(0, 0)).toBeNull();
  });

  test("a limit of zero lets nothing through", () => {
    const keeping = new Keeping("op", { rows: 0, bytes: 0 }, RULES, null);
    expect(keeping.spend(1, 0)?.code).toBe("limit");
    expect(keeping.spend(0, 1)?.code).toBe("limit");
  });

  test("without limits of its own everything goes to the meters alone", () => {
    const spending = new CountingSpending(Infinity);
    expect(new Keeping("op", {}, RULES, spending).spend(1_000_000, 1e12)).toBeNull();
    expect(spending.added).toEqual([[1_000_000, 1e12]]);
  });

  test("what either refuses is counted by neither, and the refusal of a meter names its rule and the operation", () => {
    const spending = new CountingSpending(5);
    const keeping = new Keeping("op", { rows: 8, bytes: 8 }, RULES, spending);
    expect(keeping.spend(6, 8)).toMatchObject({ code: "limit", rules: ["m"], event: "op" });
    expect(keeping.spend(5, 9)?.message).toContain("8 bytes");
    expect(spending.added).toEqual([]);
    expect(keeping.spend(5, 4)).toBeNull();
    expect(keeping.spend(4, 0)?.message).toContain("8 rows");
    expect(keeping.spend(3, 4)).toBeNull();
    expect(spending.added).toEqual([
      [5, 4],
      [3, 4],
    ]);
  });
});

describe("time", () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** What has begun under a limit, and why it was told to stop. */
  function begun(limit: LimitObligation, spending: Spending | null = null) {
    const stops: Refusal[] = [];
    const keeping = new Keeping("op", limit, RULES, spending);
    keeping.begin((reason) => stops.push(reason));
    return { keeping, stops };
  }

  test("counts from the beginning, and is up once", () => {
    const { stops } = begun({ timeMs: 100 });
    jest.advanceTimersByTime(99);
    expect(stops).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(stops).toMatchObject([
      { code: "limit", message: "policy lets this run for at most 100 ms", rules: RULES, event: "op" },
    ]);
    jest.advanceTimersByTime(1_000);
    expect(stops).toHaveLength(1);
  });

  test("counts from where it is begun again, and only from there", () => {
    const { keeping, stops } = begun({ timeMs: 100 });
    jest.advanceTimersByTime(60);
    keeping.restart();
    jest.advanceTimersByTime(99);
    expect(stops).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(stops).toHaveLength(1);
  });

  test("does not count before it has begun, nor after its end", () => {
    const unbegun = new Keeping("op", { timeMs: 100 }, RULES, null);
    unbegun.restart();
    const { keeping, stops } = begun({ timeMs: 100 });
    keeping.end();
    expect(jest.getTimerCount()).toBe(0);
    keeping.restart();
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(1_000);
    expect(stops).toEqual([]);
  });

  test("is not counted without a limit of time", () => {
    begun({ rows: 1 });
    expect(jest.getTimerCount()).toBe(0);
  });

  test("a limit beyond what a timer can wait does not end at once", () => {
    const { stops } = begun({ timeMs: 30 * 24 * 60 * 60_000 });
    jest.advanceTimersByTime(2_147_483_646);
    expect(stops).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(stops).toHaveLength(1);
  });

  test("its end is the meters' end", () => {
    const spending = new CountingSpending(5);
    const { keeping } = begun({ timeMs: 100 }, spending);
    expect(spending.ended).toBe(0);
    keeping.end();
    expect(spending.ended).toBe(1);
  });
});
