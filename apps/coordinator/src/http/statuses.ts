import type { TransactionStatus } from '#libs/runtime';

/** Every status, of branches first. */
export const STATUSES: readonly TransactionStatus[] = ['pending', 'committed', 'aborted', 'running', 'completed', 'compensating', 'compensated', 'needs-attention'];
