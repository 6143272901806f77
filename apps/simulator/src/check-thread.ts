/** A worker thread that checks, so that the main one can show progress and be stopped. */
import { parentPort, workerData } from 'node:worker_threads';
import { runCheck } from './check-job.js';
import type { CheckJob } from './check-options.js';

const result = runCheck(workerData as CheckJob, (progress) => parentPort!.postMessage({ progress }));
parentPort!.postMessage({ result });
