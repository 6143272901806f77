import { Worker as Thread } from 'node:worker_threads';
import { check, type CheckProgress, type CheckResult } from '#libs/simulator';
import { asOptionError, type CheckJob } from './check-options.js';
import { smallSystem } from './small-system.js';

export type RunCheck = (job: CheckJob, onProgress: (progress: CheckProgress) => void) => CheckResult | Promise<CheckResult>;

/** In this thread. */
export function runCheck({ protocol, mutant, votes, kinds, f, bounds }: CheckJob, onProgress: (progress: CheckProgress) => void): CheckResult {
  try {
    return check(smallSystem(protocol, mutant, { votes, f, kinds }), bounds, { progress: onProgress });
  } catch (error) {
    throw asOptionError(error);
  }
}

export function runCheckInThread(job: CheckJob, onProgress: (progress: CheckProgress) => void): Promise<CheckResult> {
  const thread = new Thread(new URL('./check-thread.js', import.meta.url), { workerData: job });
  return new Promise((resolve, reject) => {
    thread.on('message', ({ progress, result }: { readonly progress?: CheckProgress; readonly result?: CheckResult }) => {
      if (progress !== undefined) onProgress(progress);
      if (result !== undefined) resolve(result);
    });
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('the checking thread ended by itself')));
  });
}
