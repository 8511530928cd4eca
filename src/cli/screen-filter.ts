/** Lets a recorded terminal draw on the screen, and do nothing else to the terminal that shows it. */

/** A control sequence has so many characters; a longer one is dropped. */
const SEQUENCE_UNITS_MAX = 256;

const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
const DEL = 0x7f;
const CSI_C1 = 0x9b;
const ST_C1 = 0x9c;

/** BEL, BS, HT, LF, VT, FF, CR, SO and SI; the others do nothing on a screen, or ask (ENQ). */
const CONTROLS = new Set([BEL, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f]);
/** Save and restore the cursor, index, next line, tab stop, reverse index, single shifts, keypads, reset. */
const ESCAPES = new Set("78DEHMNO=>c");
/** ESC, one of these, and a character set. */
const CHARSET_INTRODUCERS = new Set("()*+");
/** Fills the screen. */
const ALIGNMENT = "#8";

/**
 * The final characters of CSI sequences without prefix and intermediates: insert, move, erase, delete, scroll, tab,
 * repeat, tab stops, modes, colours, scroll region, save and restore the cursor. Not among them: c, n, x (questions),
 * t (the window: some of it is answered), i (prints), q (lights).
 */
const DRAWING = new Set("@ABCDEFGHIJKLMPSTXZ`abdefghlmrsu");
/**
 * Modes of `CSI ? ... h` and `l` that change how the screen looks, and that of the cursor keys, which every editor sets.
 * Those of the mouse, of pasting and of the focus make the terminal type.
 */
const SCREEN_MODES = new Set([1, 5, 6, 7, 12, 25, 45, 47, 69, 1047, 1048, 1049, 2026]);
/** Modes of `CSI ... h` and `l`: insert, and line feed with return. Locking the keyboard (2) is not among them. */
const ANSI_MODES = new Set([4, 20]);

type State = "text" | "escape" | "intermediate" | "csi" | "string" | "stringEscape";

/**
 * A filter over one recording's output, in order. What it lets through: text, the controls that move the cursor,
 * colours, cursor movement, erasing, inserting, scrolling, modes of the screen, character sets. What it drops: titles,
 * the clipboard (OSC), device and private strings (DCS, APC, PM, SOS), everything that a terminal answers by typing,
 * and all it does not know. A sequence may be split between pieces; one that does not end shows nothing.
 */
export class ScreenFilter {
  #state: State = "text";
  /** What came of a sequence, without its introducer. */
  #sequence = "";

  /** What may be written of the next piece. */
  pass(text: string): string {
    let shown = "";
    for (let i = 0; i < text.length; i++) shown += this.#take(text.charAt(i), text.charCodeAt(i));
    return shown;
  }

  #take(char: string, code: number): string {
    // As terminals do it: these end whatever was begun, and an escape begins anew.
    if (code === CAN || code === SUB) return this.#go("text");
    if (code === ESC) return this.#go(this.#state === "string" ? "stringEscape" : "escape");
    // C1 controls are escapes in one character: none is shown as such.
    if (code >= 0x80 && code <= 0x9f) return this.#c1(code);
    switch (this.#state) {
      case "text":
        return code >= 0x20 ? (code === DEL ? "" : char) : CONTROLS.has(code) ? char : "";
      case "string":
        if (code === BEL) this.#go("text");
        return "";
      case "stringEscape":
        // ESC \ ends it; any other escape has ended it too.
        if (char === "\\") return this.#go("text");
        this.#go("escape");
        return this.#escape(char, code);
      case "escape":
        return this.#escape(char, code);
      case "intermediate":
        return this.#intermediate(char, code);
      case "csi":
        return this.#csi(char, code);
    }
  }

  #c1(code: number): string {
    if (code === CSI_C1) return this.#go("csi");
    if (this.#state === "string" && code !== ST_C1) return "";
    const opensString = code === 0x90 || code === 0x98 || code === 0x9d || code === 0x9e || code === 0x9f;
    return this.#go(opensString ? "string" : "text");
  }

  #escape(char: string, code: number): string {
    // A control within a sequence is obeyed on the spot, before the rest of it.
    if (code < 0x20) return CONTROLS.has(code) ? char : "";
    if (char === "[") return this.#go("csi");
    if (char === "]" || char === "P" || char === "X" || char === "^" || char === "_" || char === "k")
      return this.#go("string");
    if (code < 0x30) {
      this.#go("intermediate");
      this.#sequence = char;
      return "";
    }
    this.#go("text");
    return ESCAPES.has(char) ? `\u001b${char}` : "";
  }

  #intermediate(char: string, code: number): string {
    if (code < 0x20) return CONTROLS.has(code) ? char : "";
    if (code < 0x30) {
      if (this.#sequence.length < SEQUENCE_UNITS_MAX) this.#sequence += char;
      return "";
    }
    const introducer = this.#sequence;
    this.#go("text");
    const isCharset = CHARSET_INTRODUCERS.has(introducer) && code < DEL;
    return isCharset || introducer + char === ALIGNMENT ? `\u001b${introducer}${char}` : "";
  }

  #csi(char: string, code: number): string {
    if (code < 0x20) return CONTROLS.has(code) ? char : "";
    if (code < 0x40) {
      // One more than is allowed is kept, so that the end knows that it is too long.
      if (this.#sequence.length <= SEQUENCE_UNITS_MAX) this.#sequence += char;
      return "";
    }
    const parameters = this.#sequence;
    this.#go("text");
    if (code >= DEL || parameters.length > SEQUENCE_UNITS_MAX) return "";
    return isDrawing(parameters, char) ? `\u001b[${parameters}${char}` : "";
  }

  #go(state: State): "" {
    this.#state = state;
    this.#sequence = "";
    return "";
  }
}

/** Whether a CSI sequence only draws: its parameters and intermediates, and its final character. */
function isDrawing(parameters: string, final: string): boolean {
  const isMode = final === "h" || final === "l";
  if (parameters.startsWith("?")) {
    const rest = parameters.slice(1);
    if (!isNumbers(rest)) return false;
    // Selective erase, and the modes of the screen.
    if (final === "J" || final === "K") return true;
    return isMode && areAll(rest, SCREEN_MODES);
  }
  // A soft reset, and the shape of the cursor.
  if (parameters === "!") return final === "p";
  if (parameters.endsWith(" ") && final === "q") return isNumbers(parameters.slice(0, -1));
  if (!DRAWING.has(final) || !isNumbers(parameters)) return false;
  return !isMode || areAll(parameters, ANSI_MODES);
}

/** Digits between semicolons, or colons within a colour. */
function isNumbers(parameters: string): boolean {
  for (const char of parameters) if (!((char >= "0" && char <= "9") || char === ";" || char === ":")) return false;
  return true;
}

function areAll(parameters: string, modes: ReadonlySet<number>): boolean {
  return parameters.split(";").every((each) => each !== "" && modes.has(Number(each)));
}
