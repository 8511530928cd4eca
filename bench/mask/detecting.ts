/** How fast the detectors of content go through texts, each kind alone and all together. */
import { KINDS, Scanner } from "../../src/mask/scanner.ts";

export type Speed = { readonly what: string; readonly megabytesPerSecond: number; readonly found: number };

/** Cells as they are in tables: mostly words and numbers, and now and then what is looked for. */
const CELLS = [
  "The parcel was left with a neighbour on the second floor, as agreed by phone.",
  "order 1043, 3 items, 129.90 EUR, paid",
  "2027-03-14 09:26:53.589+00",
  "8f14e45f-ceea-467f-a0e6-5c7f2f1b7a11",
  '{"color": "red", "dims": {"w": 12, "h": 24}, "tags": ["new", "sale"]}',
  "jane.doe@example.com",
  "4111 1111 1111 1111",
  "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.",
  "+49 30 901820",
  "DE89 3704 0044 0532 0130 00",
  "12.50",
  "https://shop.example.com/products/1043?ref=newsletter&utm_source=mail",
] as const;
const BLOCK_BYTES = 8 * 1024 * 1024;

export function timeDetecting(rounds: number): readonly Speed[] {
  const { bytes, ends } = block();
  const measure = (what: string, scanner: Scanner): Speed => {
    let found = 0;
    let bestNs = Number.POSITIVE_INFINITY;
    // The first pass pays for code that is not warm yet.
    for (let round = 0; round <= rounds; round++) {
      found = 0;
      const start = Bun.nanoseconds();
      let from = 0;
      for (const end of ends) {
        found += scanner.find(bytes, from, end);
        from = end;
      }
      if (round > 0) bestNs = Math.min(bestNs, Bun.nanoseconds() - start);
    }
    return { what, megabytesPerSecond: (bytes.length / bestNs) * 1000, found };
  };
  const simple = KINDS.filter((kind) => !kind.startsWith("national-id-"));
  return [
    ...simple.map((kind) => measure(kind, new Scanner([kind]))),
    measure("national-id", new Scanner(["national-id"])),
    measure("all together", new Scanner(KINDS)),
  ];
}

function block(): { bytes: Uint8Array; ends: Uint32Array } {
  const cells = CELLS.map((cell) => new TextEncoder().encode(cell));
  const bytes = new Uint8Array(BLOCK_BYTES);
  const ends: number[] = [];
  let at = 0;
  for (let index = 0; ; index++) {
    const cell = cells[(index * 7) % cells.length];
    if (cell === undefined || at + cell.length > bytes.length) break;
    bytes.set(cell, at);
    at += cell.length;
    ends.push(at);
  }
  return { bytes: bytes.subarray(0, at), ends: Uint32Array.from(ends) };
}
