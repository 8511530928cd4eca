/** Whether two globs have a name in common. */

/** Is there a name that both match? Both are literals or globs in which `*` stops at `.` and `/`; exact. */
export function globsMeet(one: string, other: string): boolean {
  const [a, b] = [symbolsOf(one), symbolsOf(other)];
  const width = b.length + 1;
  const seen = new Uint8Array((a.length + 1) * width);
  const open: (readonly [number, number])[] = [[0, 0]];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const [i, j] = place;
    if (i === a.length && j === b.length) return true;
    if (seen[i * width + j] === 1) continue;
    seen[i * width + j] = 1;
    const [x, y] = [a[i], b[j]];
    // A wildcard may end here, or take what the other one has next.
    if (isWildcard(x)) open.push([i + 1, j]);
    if (isWildcard(y)) open.push([i, j + 1]);
    if (x !== undefined && y !== undefined && !isWildcard(x) && !isWildcard(y) && x === y) open.push([i + 1, j + 1]);
    if (isWildcard(x) && y !== undefined && !isWildcard(y) && takes(x, y)) open.push([i, j + 1]);
    if (isWildcard(y) && x !== undefined && !isWildcard(x) && takes(y, x)) open.push([i + 1, j]);
  }
  return false;
}

function isWildcard(symbol: string | undefined): symbol is string {
  return symbol === "*" || symbol === "**";
}

function takes(wildcard: string, character: string): boolean {
  return wildcard === "**" || (character !== "." && character !== "/");
}

/** UTF-16 units, `*` and `**`. */
function symbolsOf(text: string): readonly string[] {
  const symbols: string[] = [];
  for (let at = 0; at < text.length; at++) {
    const isMore = text[at] === "*" && symbols.at(-1)?.startsWith("*") === true;
    if (isMore) symbols[symbols.length - 1] = "**";
    else symbols.push(text[at] ?? "");
  }
  return symbols;
}
