/** How much of everything a peer may ask for or announce. */

/** What a packet may announce: OpenSSH's SFTP_MAX_MSG_LENGTH. Without the four bytes of the length itself. */
export const PACKET_BYTES_MAX = 256 * 1024;
/** The content of one READ or WRITE: OpenSSH's SFTP_MAX_READ_LENGTH. More may be asked for; less is answered. */
export const DATA_BYTES_MAX = 255 * 1024;
/** The draft's own bound, section 6.2. */
export const HANDLE_BYTES_MAX = 256;
/** Linux's PATH_MAX. */
export const PATH_BYTES_MAX = 4096;
/** Folders of a path that cannot be resolved, before it is refused. */
export const UNRESOLVED_FOLDERS_MAX = 64;
/** Files and folders that a channel holds open. */
export const OPEN_HANDLES_MAX = 256;
/** Requests that have no reply yet, before the client is made to wait. */
export const UNANSWERED_MAX = 1024;
/** Content of WRITEs that wait for their turn, before the client is made to wait. */
export const HELD_BYTES_MAX = 4 * 1024 * 1024;
/** Extensions that a target may offer, and extended attributes that a file may have. */
export const PAIRS_MAX = 64;
/** What people are told beside the replies, on stderr: a client that does not read it would lose its window. */
export const STDERR_BYTES_MAX = 16 * 1024;
