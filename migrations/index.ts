import type { MigrationInterface } from 'typeorm';
import { Alerts } from './coordinator/0003-alerts.ts';
import { ParticipantsAndAudit } from './coordinator/0002-participants-and-audit.ts';
import { Transactions } from './coordinator/0001-transactions.ts';
import { Holds } from './extra/0001-holds.ts';
import { Stock } from './inventory/0001-stock.ts';
import { Reversals } from './inventory/0002-reversals.ts';
import { Orders } from './orders/0001-orders.ts';
import { Room } from './orders/0002-room.ts';
import { Branch } from './participant/0001-branch.ts';
import { Accounts } from './payments/0001-accounts.ts';

// Imports end in .ts here, and only erasable TypeScript is used: Node runs these files as they are, and the build rewrites the endings.

type MigrationClass = new () => MigrationInterface;

/** A set of migrations with a history table of its own. `participant` is what the SDK needs in every service's database; `extra` is of the load test. */
export type MigrationSet = 'coordinator' | 'participant' | 'orders' | 'payments' | 'inventory' | 'extra';

/**
 * Oldest first, numbered as their files. A name ends in 13 digits, which TypeORM takes for a time and sorts by: here the number of
 * the file. Named one by one, so that every compiler and bundler finds them.
 */
export const MIGRATIONS: { readonly [S in MigrationSet]: readonly MigrationClass[] } = {
  coordinator: [Transactions, ParticipantsAndAudit, Alerts],
  participant: [Branch],
  orders: [Orders, Room],
  payments: [Accounts],
  inventory: [Stock, Reversals],
  extra: [Holds],
};
