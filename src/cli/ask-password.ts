/** Asks for a password on the terminal without showing it. */
import { CommandError } from "./command.ts";

const PASSWORD_CHARS_MAX = 1024;

/** Null: nobody sits at a terminal, or nothing was typed. Throws CommandError when it is broken off. */
export async function askPassword(prompt: string): Promise<string | null> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) return null;
  stderr.write(`${prompt}: `);
  stdin.setRawMode(true);
  try {
    return await readLine(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

async function readLine(stdin: NodeJS.ReadStream): Promise<string | null> {
  const { promise, resolve, reject } = Promise.withResolvers<string | null>();
  const decoder = new TextDecoder();
  const typed: string[] = [];
  const read = (chunk: Uint8Array): void => {
    for (const character of decoder.decode(chunk, { stream: true })) {
      if (character === "\r" || character === "\n") resolve(typed.length === 0 ? null : typed.join(""));
      else if (character === "\u0003") reject(new CommandError("broken off"));
      else if (character === "\u007F" || character === "\b") typed.pop();
      else if (typed.length < PASSWORD_CHARS_MAX) typed.push(character);
    }
  };
  stdin.on("data", read);
  try {
    return await promise;
  } finally {
    stdin.off("data", read);
  }
}
