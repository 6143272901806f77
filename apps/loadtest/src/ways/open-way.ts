import type { Assignment } from '../contract.js';
import { batchWay } from './batch.js';
import { httpWay } from './http.js';
import { localHttpWay } from './local-http.js';
import { localWay } from './local.js';
import { sdkWay } from './sdk.js';
import type { OpenWay } from './way.js';

/** @throws what keeps the monolith's database from being opened */
export async function openWay(assignment: Assignment): Promise<OpenWay> {
  const { way } = assignment;
  switch (way) {
    case 'sdk': return sdkWay(assignment);
    case 'http': return httpWay(assignment);
    case 'batch': return batchWay(assignment);
    case 'local':
    case 'local-single': return localWay({ ...assignment, way });
    case 'local-http': return localHttpWay(assignment);
  }
}
