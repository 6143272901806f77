/** Workers that are threads, and one that is none. */
import { Worker as Thread } from 'node:worker_threads';
import type { Worker } from './campaign.js';
import type { Job } from './simulate-options.js';
import { runSlice, type SliceResult } from './work.js';

interface Waiting {
  resolve(result: SliceResult): void;
  reject(error: unknown): void;
}

export function seedThread(job: Job): Worker {
  const thread = new Thread(new URL('./seed-thread.js', import.meta.url), { workerData: job });
  let waiting: Waiting | null = null;
  thread.on('message', (result: SliceResult) => waiting?.resolve(result));
  thread.on('error', (error) => waiting?.reject(error));
  thread.on('exit', () => waiting?.reject(new Error('a worker thread ended by itself')));
  return {
    run: (slice) => new Promise<SliceResult>((resolve, reject) => {
      waiting = { resolve, reject };
      thread.postMessage(slice);
    }),
    close: () => void thread.terminate(),
  };
}

/** In this thread, which takes its other events between the slices. */
export function hereWorker(job: Job): Worker {
  return {
    run: async (slice) => {
      await new Promise((resolve) => setImmediate(resolve));
      return runSlice(job, slice);
    },
    close: () => {},
  };
}
