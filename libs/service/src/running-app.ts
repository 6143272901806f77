import type { Transport } from '#libs/runtime';

/** A started application. */
export interface RunningApp {
  readonly name: string;
  /** Where it listens, without a slash at the end; null when it does not. */
  readonly url: string | null;
  /** Refuses new work, finishes what is open, frees everything. */
  close(): Promise<void>;
}

export interface AppDeps {
  /** The in-process bus that all applications of a single process share. */
  readonly transport?: Transport;
}

/** Starts one application from its environment. Rejects with ConfigError when that is not valid. */
export type StartApp = (env: NodeJS.ProcessEnv, deps?: AppDeps) => Promise<RunningApp>;
