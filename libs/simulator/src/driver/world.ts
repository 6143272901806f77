import { protocolOf, shardOf, type Message, type ProtocolMessage, type ProtocolName, type Txid } from '#libs/protocol';
import type { CoordinatorDriver, CoordinatorFlush, CoordinatorFlushResult, OutcomeEvent, ParticipantDriver, SiteRows } from '#libs/runtime';
import type { Trace } from '../trace.js';
import { BranchDatabase, type ShelfHandle } from './branch-database.js';
import { BROKER, Bus } from './bus.js';
import { Client, type Wish } from './client.js';
import { COORDINATOR_DATABASE, CoordinatorTables } from './coordinator-tables.js';
import type { DriverDefect } from './defects.js';
import { CALM, type DriverFaults } from './faults.js';
import { type Instance, startCoordinator, startParticipant, type Surroundings } from './instances.js';
import { bare } from './outcomes.js';
import { SimProcess } from './process.js';
import { Random } from './random.js';
import { Scheduler } from './scheduler.js';
import { drawTuning } from './tuning.js';
import { drawWish } from './wishes.js';
import { Wire } from './wire.js';
import { Witness } from './witness.js';

export interface WorldSize {
  readonly transactions: number;
  readonly participants: number;
  /** Instances of the coordinator, over one database. */
  readonly coordinators: number;
  /** Instances of each participant, over its one database. */
  readonly instances: number;
  readonly shards: number;
  /** Partitions of each participant's inbox. */
  readonly partitions: number;
  /** Of the article that all want; the same number at each participant. */
  readonly pieces: number;
  /** Each transaction takes one of them. */
  readonly protocols: readonly ProtocolName[];
}

type Driver = CoordinatorDriver | ParticipantDriver<ShelfHandle>;

/** A place where one process after the other runs the same instance of a service. */
interface Slot<D extends Driver = Driver> {
  readonly name: string;
  readonly site: string;
  readonly start: (process: SimProcess) => Instance<D>;
  current: Instance<D> | null;
}

const RESTART_MS = { from: 20, to: 2_000 } as const;

/** Everything of one run: databases, broker, processes that come and go, clients, and what goes wrong. */
export class DriverWorld {
  readonly scheduler = new Scheduler();
  readonly witness: Witness;
  readonly wire: Wire;
  readonly bus: Bus;
  readonly tables: CoordinatorTables;
  readonly databases: readonly BranchDatabase[];
  readonly clients: Client[] = [];
  /** Outcome events that the broker has taken. */
  readonly outcomesTold = new Set<Txid>();
  isHealed = false;
  private readonly coordinatorSlots: readonly Slot<CoordinatorDriver>[];
  private readonly slots: readonly Slot[];
  private readonly random: Random;

  constructor(seed: number, readonly size: WorldSize, readonly faults: DriverFaults, defect: DriverDefect | null, private readonly trace: Trace) {
    this.random = new Random(seed);
    this.witness = new Witness((text) => trace({ kind: 'violation', text, atMs: this.nowMs }));
    this.wire = new Wire(this.scheduler, this.random, faults, (process, when) => this.crash(process, when));
    this.tables = new CoordinatorTables(this.witness, defect, (process, batch, result) => this.flushed(process, batch, result));
    this.databases = Array.from({ length: size.participants }, (_, i) => (
      new BranchDatabase(`p${i}`, size.pieces, this.scheduler, this.witness, defect, (process, rows) => this.rowsWritten(process, rows))
    ));
    this.bus = new Bus(this.scheduler, this.random, this.wire, {
      sent: (from, to, message, id) => this.sent(from, to, message, id),
      delivered: (id, isFirst) => this.delivered(id, isFirst),
      outcome: (event) => this.outcome(event),
      buried: (message, error, by) => this.witness.object(`DEAD LETTER: ${message.kind} by ${by.name}: ${error.message}`),
    }, { coordinator: size.shards, participant: size.partitions });
    const surroundings: Surroundings = {
      wire: this.wire, bus: this.bus, witness: this.witness, tables: this.tables, tuning: drawTuning(this.random, size.partitions),
      txidBytes: bytesFrom(new Random(seed ^ 0x7a1d)),
      acceptors: this.databases.slice(0, size.participants < 3 ? 1 : 3).map(({ site }) => site),
    };
    this.coordinatorSlots = Array.from({ length: size.coordinators }, (_, i) => (
      { name: `coordinator#${i + 1}`, site: 'coordinator', current: null, start: (process: SimProcess) => startCoordinator(process, surroundings) }
    ));
    const participantSlots = this.databases.flatMap((database) => Array.from({ length: size.instances }, (_, i) => (
      { name: `${database.site}#${i + 1}`, site: database.site, current: null, start: (process: SimProcess) => startParticipant(process, database, surroundings) }
    )));
    this.slots = [...this.coordinatorSlots, ...participantSlots];
  }

  /** Simulated time as traces show it: in microseconds' precision. */
  get nowMs(): number {
    return Math.round(this.scheduler.nowMs * 1_000) / 1_000;
  }

  get instances(): readonly Instance<Driver>[] {
    return this.slots.flatMap(({ current }) => (current === null ? [] : [current]));
  }

  get coordinators(): readonly Instance<CoordinatorDriver>[] {
    return this.coordinatorSlots.flatMap(({ current }) => (current === null ? [] : [current]));
  }

  /** Starts all processes, and lays down everything that will happen in phase one. */
  begin(): void {
    for (const slot of this.slots) this.start(slot);
    for (let number = 0; number < this.size.transactions; number++) {
      const wish = drawWish(number, this.random, this.databases.map(({ site }) => site), this.size.protocols);
      this.scheduler.in(this.random.next() * this.faults.faultyMs, () => this.startClient(wish));
    }
    const sometime = (count: number, happen: () => void): void => {
      for (let i = 0; i < count; i++) this.scheduler.in(this.random.next() * this.faults.faultyMs, happen);
    };
    const topics = ['coordinator', ...this.databases.map(({ site }) => site)];
    const servers = [COORDINATOR_DATABASE, BROKER, ...this.databases.map(({ site }) => site)];
    const { crashes, stops, rebalances, outages, clockJumps } = this.faults;
    sometime(crashes, () => this.withAny(({ process }) => this.crash(process, 'at any moment')));
    sometime(stops, () => this.withAny((instance) => void this.stop(instance)));
    sometime(rebalances, () => {
      this.wire.count('rebalance');
      this.bus.rebalance(this.random.pick(topics));
    });
    sometime(outages, () => {
      this.wire.count('outage');
      this.wire.outage(this.random.pick(servers), this.random.next() * this.faults.outageMs);
    });
    sometime(clockJumps, () => this.withAny(({ process }) => this.jump(process)));
  }

  /** From here on nothing goes wrong any more, and every process runs. */
  heal(): void {
    this.isHealed = true;
    this.wire.heal(CALM);
    this.trace({ kind: 'heal', atMs: this.nowMs });
    for (const slot of this.slots) if (slot.current === null) this.start(slot);
  }

  startClient(wish: Wish): Client {
    const client = new Client(wish, {
      scheduler: this.scheduler, random: this.random, witness: this.witness, tables: this.tables,
      coordinators: () => this.coordinators,
      onAnswer: ({ name }, txid, outcome) => this.trace({ kind: 'answer', process: name, txid: this.witness.name(txid), outcome, atMs: this.nowMs }),
    });
    this.clients.push(client);
    client.run().catch((error: unknown) => this.witness.object(`UNEXPECTED: client ${wish.number}: ${(error as Error).stack}`));
    return client;
  }

  /** After the run nothing of it may go on. */
  end(): void {
    for (const { process } of this.instances) process.die();
  }

  // ---------------------------------------------------------------- processes

  private start(slot: Slot): void {
    const process = new SimProcess(slot.name, slot.site, this.scheduler, Math.round(this.random.between(-1, 1) * this.faults.skewMs));
    slot.current = slot.start(process);
  }

  private restartLater(slot: Slot): void {
    slot.current = null;
    this.scheduler.in(this.random.between(RESTART_MS.from, RESTART_MS.to), () => {
      if (slot.current !== null) return;
      this.trace({ kind: 'restart', process: slot.name, atMs: this.nowMs });
      this.start(slot);
    });
  }

  private crash(process: SimProcess, when: string): void {
    const slot = this.slots.find(({ current }) => current?.process === process);
    if (slot === undefined || !process.alive) return;
    this.wire.count('crash');
    this.trace({ kind: 'crash', process: process.name, when, forGood: false, atMs: this.nowMs });
    process.die();
    this.restartLater(slot);
  }

  private async stop({ process, driver }: Instance<Driver>): Promise<void> {
    this.wire.count('stop');
    const slot = this.slots.find(({ current }) => current?.process === process)!;
    if ((await process.ask('stop', driver.stop())) === 'dead') return;
    process.die();
    this.restartLater(slot);
  }

  private jump(process: SimProcess): void {
    const jumpMs = Math.round(this.random.between(-1, 1) * this.faults.clockJumpMs);
    this.wire.count('clock jump');
    this.trace({ kind: 'clock', process: process.name, jumpMs, atMs: this.nowMs });
    process.jump(jumpMs);
  }

  private withAny(happen: (instance: Instance<Driver>) => void): void {
    const { instances } = this;
    if (instances.length > 0) happen(this.random.pick(instances));
  }

  // ---------------------------------------------------------------- what is seen

  private flushed(process: SimProcess, batch: CoordinatorFlush, { fenced, duplicates, register }: CoordinatorFlushResult): void {
    const { tables, witness } = this;
    for (const [txid, { decision }] of register) if (decision === 'COMMIT') this.checkVotes(txid);
    const refused = (txid: Txid): boolean => duplicates.has(txid) || fenced.includes(shardOf(txid));
    const record = (txid: Txid, text: string) => ({ txid: witness.name(txid), role: 'coordinator', text, refused: refused(txid) });
    const records = [
      ...batch.begins.map(({ spec }) => record(spec.txid, 'BEGIN')),
      ...batch.progress.map(({ txid, kind, key }) => record(txid, key === '' ? kind : `${kind} ${key}`)),
      ...batch.decisions.map(({ txid, decision }) => (
        record(txid, register.get(txid)?.decision === decision ? `DECIDE ${decision}` : `DECIDE ${decision}, register holds ${tables.outcome(txid)}`)
      )),
      ...batch.ends.map(({ txid, outcome }) => record(txid, `END ${outcome}`)),
    ];
    this.trace({ kind: 'flush', process: process.name, site: process.site, records, atMs: this.nowMs });
  }

  private rowsWritten(process: SimProcess, { branches, acceptors, leaders }: SiteRows): void {
    const record = (txid: Txid, role: string, text: string) => ({ txid: this.witness.name(txid), role, text, refused: false });
    const records = [
      ...branches.map(({ txid, branch, state }) => record(txid, `participant ${branch}`, state)),
      ...acceptors.map(({ txid, promised }) => record(txid, `acceptor ${process.site}`, `ACCEPTOR ${promised.n}.${promised.leader}`)),
      ...leaders.map(({ group, ballot }) => record(group.txid, `leader ${process.site}`, `LEADER ${ballot.n}.${ballot.leader}`)),
    ];
    this.trace({ kind: 'flush', process: process.name, site: process.site, records, atMs: this.nowMs });
  }

  /** AC3: every branch has a durable yes, or nothing to decide. Sagas commit one step after the other. */
  private checkVotes(txid: Txid): void {
    const begun = this.tables.begins.get(txid);
    if (begun === undefined) return this.witness.object(`BEGIN: COMMIT of ${this.witness.name(txid)}, which was never begun`);
    if (begun.spec.protocol === 'saga') return;
    begun.spec.branches.forEach(({ participant }, branch) => {
      const state = this.databases.find(({ site }) => site === participant)!.rows.get(`${txid}/${branch}`)?.state ?? 'none';
      if (['prepared', 'read-only', 'committed', 'pre-committed'].includes(state)) return;
      this.witness.object(`AC3: COMMIT of ${this.witness.name(txid)} while the row of ${participant}/${branch} is ${state}`);
    });
  }

  private sent(from: SimProcess, to: string, message: Message, id: number): void {
    if (message.kind === 'ANNOUNCE') return;
    const txid = this.witness.name(message.txid);
    this.trace({ kind: 'send', id, from: from.name, to, txid, text: describe(message), atMs: this.nowMs, sender: from.site, receiver: to.split('#')[0]! });
  }

  private delivered(id: number, isFirst: boolean): void {
    if (isFirst) this.trace({ kind: 'deliver', id, atMs: this.nowMs });
    else this.wire.count('delivered again');
  }

  private outcome({ txid, status }: OutcomeEvent): void {
    this.outcomesTold.add(txid);
    this.witness.told(txid, bare(status), 'outcome event');
  }
}

function describe(message: ProtocolMessage): string {
  const { kind } = message;
  const about = protocolOf(message) === '2pc' ? kind : `${protocolOf(message)} ${kind}`;
  if ('vote' in message) return `${about} ${message.vote}`;
  if ('outcome' in message) return `${about} ${message.outcome}`;
  if ('state' in message) return `${about} ${message.state}`;
  if ('ballot' in message) return `${about} ${message.ballot.n}.${message.ballot.leader}`;
  if ('election' in message) return `${about} ${message.election.n}.${message.election.site}`;
  return 'step' in message ? `${about} ${message.step}` : about;
}

/** A stream of its own, so that ids change nothing else. */
function bytesFrom(random: Random): (bytes: Uint8Array) => void {
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  };
}
