import type { BranchStore, CoordinatorStore, Transport } from '../ports.js';
import type { ProcessRole } from './kinds.js';
import { crashTriggerFrom } from './trigger.js';
import { crashingBranchStore, crashingCoordinatorStore, crashingOffsets, crashingTransport, type SavingOffsets } from './wrappers.js';

export type { CrashRole, ProcessRole } from './kinds.js';
export { allCrashPoints, parseCrashPoint, type CrashPoint } from './names.js';
export { CrashPointError } from './trigger.js';
export type { SavingOffsets } from './wrappers.js';

type Env = Readonly<Record<string, string | undefined>>;

interface CoordinatorPorts {
  readonly store: CoordinatorStore;
  readonly transport: Transport;
}

interface SitePorts<Handle> {
  readonly store: BranchStore<Handle>;
  readonly transport: Transport;
}

/**
 * The ports of a process with its crash points around every durable write and every send: where the process can be made to kill itself
 * with -9 (CONCORDAT_CRASH_POINTS=on, CRASH_POINT), to see that nothing is lost. Without the flag these very ports, with nothing around them.
 * @throws CrashPointError when the environment asks for what cannot be
 */
export function withCrashPoints(ports: CoordinatorPorts, role: 'coordinator', env: Env): CoordinatorPorts;
export function withCrashPoints<Handle>(ports: SitePorts<Handle>, role: 'participant' | 'acceptor', env: Env): SitePorts<Handle>;
export function withCrashPoints<Handle>(ports: CoordinatorPorts | SitePorts<Handle>, role: ProcessRole, env: Env): CoordinatorPorts | SitePorts<Handle> {
  const trigger = crashTriggerFrom(env);
  if (trigger === null) return ports;
  const transport = crashingTransport(ports.transport, role, trigger);
  const { store } = ports;
  return 'flush' in store ? { store: crashingCoordinatorStore(store, trigger), transport } : { store: crashingBranchStore(store, trigger), transport };
}

/** The same around saving offsets, as an option of the transport: empty without the flag. */
export function offsetCrashPoints(role: ProcessRole, env: Env): { readonly savingOffsets?: SavingOffsets } {
  const trigger = crashTriggerFrom(env);
  return trigger === null ? {} : { savingOffsets: crashingOffsets(role, trigger) };
}
