/** The lock of a data folder, for commands that work on it while no gateway runs. */
import { DataFolderInUse, lockDataFolder, prepareDataFolder } from "../api/data-folder.ts";
import { CommandError } from "./command.ts";

/** Takes the lock. Throws CommandError when a gateway that does not answer holds it. */
export function lockedFolder(folder: string): ReturnType<typeof lockDataFolder> {
  prepareDataFolder(folder);
  try {
    return lockDataFolder(folder);
  } catch (error) {
    if (!(error instanceof DataFolderInUse)) throw error;
    throw new CommandError(
      `a gateway uses ${folder} but does not answer`,
      "It may be starting or ending: try again in a moment.",
    );
  }
}
