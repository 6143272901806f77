export * from './ports.js';
export * from './system-clock.js';
export * from './timers.js';
export * from './retry.js';
export * from './gather.js';
export * from './outbox.js';
export * from './coordinator/index.js';
export * from './participant/index.js';
