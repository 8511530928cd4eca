/** Instants: what is one, and what only looks like one. */
import { expect, test } from "bun:test";
import { parseInstant } from "./instant.ts";

test.each([
  ["2027-06-30T00:00:00Z", Date.UTC(2027, 5, 30)],
  ["2027-06-30T02:00:00+02:00", Date.UTC(2027, 5, 30)],
  ["2027-06-29T19:30:00-04:30", Date.UTC(2027, 5, 30)],
  ["2027-06-30T00:00:00.5Z", Date.UTC(2027, 5, 30) + 500],
  ["2028-02-29T23:59:59.999Z", Date.UTC(2028, 1, 29, 23, 59, 59, 999)],
])("%s is an instant", (text, expected) => {
  expect(parseInstant(text)).toBe(expected);
});

test.each([
  "",
  "2027-06-30",
  "2027-06-30T00:00:00",
  "2027-06-30 00:00:00Z",
  "2027-02-29T00:00:00Z",
  "2027-13-01T00:00:00Z",
  "2027-06-30T24:00:00Z",
  "2027-06-30T00:00:60Z",
  "2027-06-30T00:00:00z",
  "2027-06-30T00:00:00.Z",
  "2027-06-30T00:00:00.1234Z",
  "2027-06-30T00:00:00+0200",
  "2027-06-30T00:00:00+24:00",
  "2027-06-30T00:00:00Zx",
  "+27-06-30T00:00:00Z",
])("%p is none", (text) => {
  expect(parseInstant(text)).toBeNull();
});
