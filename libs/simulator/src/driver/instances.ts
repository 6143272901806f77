import { CoordinatorDriver, ParticipantDriver, type CoordinatorObserver, type ParticipantErrorContext } from '#libs/runtime';
import { UnexpectedInputError } from '#libs/protocol';
import type { BranchDatabase, ShelfHandle } from './branch-database.js';
import type { Bus } from './bus.js';
import type { CoordinatorTables } from './coordinator-tables.js';
import { shelfRunner } from './handlers.js';
import type { SimProcess } from './process.js';
import type { Tuning } from './tuning.js';
import { SimulatedFault, type Wire } from './wire.js';
import type { Witness } from './witness.js';

/** What all processes of a run live in. */
export interface Surroundings {
  readonly wire: Wire;
  readonly bus: Bus;
  readonly witness: Witness;
  readonly tuning: Tuning;
  readonly tables: CoordinatorTables;
  /** Fills in randomness for txids, from the seed. */
  readonly txidBytes: (bytes: Uint8Array) => void;
  /** Of paxos-commit. */
  readonly acceptors: readonly string[];
}

/** A running driver: the production code, with simulated ports. */
export interface Instance<Driver> {
  readonly process: SimProcess;
  readonly driver: Driver;
}

export function startCoordinator(process: SimProcess, { wire, bus, witness, tuning, tables, acceptors, txidBytes }: Surroundings): Instance<CoordinatorDriver> {
  const observer: Partial<CoordinatorObserver> = {
    decided: (view) => witness.told(view.txid, view.decision === 'COMMIT' ? 'committed' : 'aborted', `memory of ${process.name}`),
    error: (error, context) => report(process, witness, error, context),
  };
  const driver = new CoordinatorDriver({
    store: tables.port(process, wire), transport: bus.port(process), clock: process, observer: whileAlive(process, observer),
    options: { instance: process.name, acceptors, ...tuning.coordinator },
    onAnnounce: () => wire.request(process, 'coordinator', () => undefined),
    randomFill: txidBytes,
  });
  driver.start().catch((error: unknown) => report(process, witness, error, 'start'));
  return { process, driver };
}

export function startParticipant(process: SimProcess, database: BranchDatabase, { wire, bus, witness, tuning }: Surroundings): Instance<ParticipantDriver<ShelfHandle>> {
  const transport = bus.port(process);
  const driver = new ParticipantDriver<ShelfHandle>({
    store: database.port(process, wire), runner: shelfRunner(wire), transport, clock: process,
    config: { name: database.site, ...tuning.machine },
    options: tuning.participant,
    observer: {
      error: (error, context) => {
        if (process.alive && !isExpected(error, context)) report(process, witness, error, context.activity);
      },
    },
  });
  driver.start().catch((error: unknown) => report(process, witness, error, 'start'));
  const announcement = { kind: 'ANNOUNCE', participant: database.site, instance: process.name, version: '1', operations: [], acceptor: true } as const;
  transport.send([{ to: { role: 'coordinator' }, message: announcement }]).catch(() => undefined);
  return { process, driver };
}

/** What a driver reports must be a fault of the world's making; anything else is a defect of the driver or of a machine. */
function report(process: SimProcess, witness: Witness, error: unknown, context: string): void {
  if (error instanceof SimulatedFault) return;
  const what = error instanceof UnexpectedInputError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  witness.object(`UNEXPECTED: ${process.name}, ${context}: ${what}`);
}

/** A poisoned local transaction, which the driver takes apart to find the branch at fault. */
function isExpected(error: unknown, { activity }: ParticipantErrorContext): boolean {
  return activity === 'transaction' && error instanceof Error && error.message === 'a handler wrote what no column takes';
}

function whileAlive(process: SimProcess, observer: Partial<CoordinatorObserver>): Partial<CoordinatorObserver> {
  return {
    decided: (view) => {
      if (process.alive) observer.decided?.(view);
    },
    error: (error, context) => {
      if (process.alive) observer.error?.(error, context);
    },
  };
}
