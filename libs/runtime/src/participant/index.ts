export * from './types.js';
export * from './site-config.js';
export * from './driver.js';
