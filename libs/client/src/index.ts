export * from './types.js';
export * from './errors.js';
export * from './client.js';
export { timeOrderedKey } from './time-ordered-key.js';
