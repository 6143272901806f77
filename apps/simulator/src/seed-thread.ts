/** A worker thread: gets slices of seeds, answers what came of each. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Job } from './simulate-options.js';
import { runSlice, type Slice } from './work.js';

parentPort!.on('message', (slice: Slice) => {
  void Promise.resolve(runSlice(workerData as Job, slice)).then((result) => parentPort!.postMessage(result));
});
