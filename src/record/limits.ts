/** The numbers of recording: how much is gathered, how much may wait, and how long anything may be. */

/** A segment is stored when it would grow beyond this, in plaintext. */
export const SEGMENT_BYTES_MAX = 1024 * 1024;
/** And when its first line is this old: so much of a session can be lost to a kill. */
export const SEGMENT_MS_MAX = 5_000;
/** A line that would be longer is cut, and says so. With its newline it fits into a segment. */
export const LINE_BYTES_MAX = SEGMENT_BYTES_MAX - 1;
/** One session may have so much waiting to be stored before its adapter is told to pause. */
export const SESSION_WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** What goes on writing in spite of that ends here: the session is ended. */
export const SESSION_WAITING_BYTES_END = 16 * 1024 * 1024;
/** All sessions together may have so much waiting before every adapter is told to pause. */
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** A recording that has grown to this ends its session. In plaintext, both streams together. */
export const RECORDING_BYTES_MAX = 1024 * 1024 * 1024;
/** A writer that has work and says nothing for this long stalls: nothing that must be recorded goes on meanwhile. */
export const STALL_MS_MAX = 1_000;
/** The operator is told of a stall that has lasted for this long. */
export const STALL_SAID_MS = 3_000;
/** A writer that has work and says nothing for this long has failed. */
export const SILENCE_MS_MAX = 10_000;
