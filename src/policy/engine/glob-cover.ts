/** Containment of globs: whether one stands for everything that another stands for. */

const DOT = 0x2e;
const SLASH = 0x2f;
/** What a pattern holds in place of a UTF-16 unit. */
const STAR = -1;
const GLOBSTAR = -2;

/**
 * Does every name that `inner` matches also match `outer`? Both are literals or globs in which `*` stops at `.` and
 * `/`. May say no where only several ways to match together would do; never says yes when it is no.
 */
export function globCovers(outer: string, inner: string): boolean {
  const expected = symbolsOf(outer);
  let reached = withSkipped(new Set([0]), expected);
  for (const symbol of symbolsOf(inner)) {
    const next = new Set<number>();
    for (const position of reached) {
      const at = expected[position];
      if (at === GLOBSTAR || (at === STAR && isWithinSegment(symbol))) next.add(position);
      else if (at === symbol && symbol >= 0) next.add(position + 1);
    }
    if (next.size === 0) return false;
    reached = withSkipped(next, expected);
  }
  return reached.has(expected.length);
}

function isWithinSegment(symbol: number): boolean {
  return symbol !== GLOBSTAR && symbol !== DOT && symbol !== SLASH;
}

/** A wildcard may match nothing: what is reached before it is reached behind it. */
function withSkipped(reached: Set<number>, pattern: readonly number[]): Set<number> {
  // A set that grows while it is walked is walked to its new end.
  for (const position of reached) if ((pattern[position] ?? 0) < 0) reached.add(position + 1);
  return reached;
}

/** UTF-16 units, STAR and GLOBSTAR. */
function symbolsOf(text: string): readonly number[] {
  const symbols: number[] = [];
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== "*") {
      symbols.push(text.charCodeAt(at));
      continue;
    }
    let end = at;
    while (text[end + 1] === "*") end++;
    symbols.push(end === at ? STAR : GLOBSTAR);
    at = end;
  }
  return symbols;
}
