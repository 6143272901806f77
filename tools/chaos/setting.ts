import type { DataDir } from '../stack/data-dir.ts';

/** What every command of this tool is given. */
export interface Setting {
  readonly dataDir: DataDir;
  readonly log: (line: string) => void;
  /** Aborted by Ctrl-C and its like. */
  readonly signal: AbortSignal;
  /** What has to be undone at the end, last first. */
  readonly undo: (() => Promise<void>)[];
}
