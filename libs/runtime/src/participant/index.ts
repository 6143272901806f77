export { ParticipantDriver, type ParticipantDriverDeps } from './driver.js';
export * from './types.js';
