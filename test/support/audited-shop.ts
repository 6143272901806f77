import type { PoolClient } from 'pg';
import { createPool, type Evidence, migrate, seedShop } from '#libs/postgres';
import type { Txid } from '#libs/protocol';
import { newTxid, unusedDatabase } from './store.js';

const DATABASES = ['coordinator', 'orders', 'payments', 'inventory'] as const;
export type DatabaseName = (typeof DATABASES)[number];
type Pool = ReturnType<typeof createPool>;

const ACCEPTORS = ['orders', 'payments', 'inventory'];
const OPERATIONS = { orders: 'place', payments: 'debit', inventory: 'reserve' } as const;
type Participant = keyof typeof OPERATIONS;

/** One transaction of each kind, as the programs leave them behind: the names say how each ended. */
export const NAMES = ['2pc-committed', '2pc-aborted', 'one-phase', '3pc-committed', '3pc-aborted', 'paxos-committed', 'paxos-aborted', 'saga-completed', 'saga-compensated'] as const;
export type Name = (typeof NAMES)[number];

/** A small shop at rest in databases of its own. What a test plants in it is gone after the test: it happens in transactions that are rolled back. */
export class AuditedShop {
  readonly txids = Object.fromEntries(NAMES.map((name) => [name, newTxid(0)])) as Record<Name, Txid>;
  readonly clients = {} as Record<DatabaseName, PoolClient>;
  private readonly pools = {} as Record<DatabaseName, Pool>;

  static async open(): Promise<AuditedShop> {
    const shop = new AuditedShop();
    await Promise.all(DATABASES.map(async (name) => {
      const url = unusedDatabase();
      await migrate(url, name);
      const pool = createPool(url, { max: 2, applicationName: 'audit-spec' });
      await seedShop(name, (sql) => pool.query(sql));
      shop.pools[name] = pool;
      shop.clients[name] = await pool.connect();
    }));
    for (const name of NAMES) await shop.fill(name);
    return shop;
  }

  async close(): Promise<void> {
    for (const client of Object.values(this.clients)) client.release();
    await Promise.all(Object.values(this.pools).map((pool) => pool.end()));
  }

  async begin(): Promise<void> {
    await Promise.all(Object.values(this.clients).map((client) => client.query('BEGIN')));
  }

  async rollback(): Promise<void> {
    await Promise.all(Object.values(this.clients).map((client) => client.query('ROLLBACK')));
  }

  /** SQL in one of the databases; `<name>` stands for that transaction's id. */
  async plant(database: DatabaseName, sql: string): Promise<void> {
    await this.clients[database].query(sql.replaceAll(/<([a-z0-9-]+)>/g, (_, name: Name) => this.txids[name]));
  }

  /** What clients, readers of the topic and somebody who looked on the way would have to say of it. */
  evidence(): { -readonly [K in keyof Evidence]-?: Evidence[K] } {
    const decided = NAMES.filter((name) => name !== 'one-phase');
    return {
      answers: new Map(NAMES.map((name) => [this.txids[name], outcomeOf(name)])),
      refusedKeys: new Set(['never-taken']),
      decisionsSeen: new Map(decided.map((name) => [this.txids[name], isCommit(name) ? 'COMMIT' : 'ABORT'])),
      branchesSeen: new Map([[`payments ${this.txids['2pc-committed']} 1`, 'committed'], [`orders ${this.txids['saga-compensated']} 0`, 'executed']]),
      events: new Map(NAMES.map((name) => [this.txids[name], new Set([outcomeOf(name)])])),
      acceptors: {},
      cleaned: false,
    };
  }

  private async fill(name: Name): Promise<void> {
    const participants = name === 'one-phase' ? ['payments'] as const : ['orders', 'payments', 'inventory'] as const;
    await this.fillCoordinator(name, participants);
    const branches: readonly Participant[] = protocolOf(name) === 'saga' ? ['orders', 'inventory', 'payments', 'orders'] : participants;
    for (const [i, participant] of branches.entries()) await this.fillBranch(name, participant, i);
    if (protocolOf(name) === 'paxos-commit') {
      const accepted = JSON.stringify(participants.map((_, i) => ({ ballot: { n: 0, leader: 0 }, value: isCommit(name) || i > 0 ? 'prepared' : 'aborted' })));
      for (const acceptor of ['orders', 'payments'] as const) await this.clients[acceptor].query('INSERT INTO concordat_acceptor (txid, peers, promised_n, promised_leader, accepted) VALUES ($1, $2, 0, 0, $3)', [this.txids[name], ACCEPTORS, accepted]);
    }
    await this.fillShop(name);
  }

  private async fillCoordinator(name: Name, participants: readonly Participant[]): Promise<void> {
    const txid = this.txids[name];
    const protocol = protocolOf(name);
    const branches = participants.map((participant) => ({ participant, operation: OPERATIONS[participant], payload: payloadOf(name) }));
    const step = (participant: Participant, operation: string, kind: string) => ({ id: operation, participant, operation, kind, payload: payloadOf(name) });
    const steps = [step('orders', 'place', 'compensatable'), step('inventory', 'reserve', 'compensatable'), step('payments', 'debit', 'pivot'), step('orders', 'confirm', 'retriable')];
    const { coordinator } = this.clients;
    await coordinator.query(`
      INSERT INTO tx_begin (txid, shard, protocol, created_at, deadline_at, wait_for, branches, participants, acceptors, saga, idempotency_key) VALUES ($1, 0, $2, now(), now(), 'decided', $3, $4, $5, $6, $7)`,
    [txid, protocol, JSON.stringify(protocol === 'saga' ? steps : branches), participants, protocol === 'paxos-commit' ? ACCEPTORS : null, protocol === 'saga' ? '{}' : null, `key of ${name}`]);
    const reason = isCommit(name) ? null : '{"code": "REFUSED"}';
    if (name !== 'one-phase') await coordinator.query("INSERT INTO tx_decision (txid, decision, reason, branches, timeline, epoch, decided_at) VALUES ($1, $2, $3, '[]', '[]', 1, now())", [txid, isCommit(name) ? 'COMMIT' : 'ABORT', reason]);
    await coordinator.query("INSERT INTO tx_end (txid, outcome, reason, branches, timeline, registered, finished_at) VALUES ($1, $2, $3, '[]', '[]', $4, now())", [txid, outcomeOf(name), reason, name !== 'one-phase']);
  }

  /** Of what aborts the first branch was never there, as if its PREPARE had been lost. Of the saga that is undone the pivot refused. */
  private async fillBranch(name: Name, participant: Participant, branch: number): Promise<void> {
    const protocol = protocolOf(name);
    const saga = isCommit(name) ? 'executed' : ['compensated', 'compensated', 'refused', null][branch]!;
    const state = protocol === 'saga' ? saga : isCommit(name) ? 'committed' : branch === 0 ? null : 'aborted';
    if (state === null) return;
    await this.clients[participant].query(`
      INSERT INTO concordat_branch (txid, branch, protocol, state, one_phase, operation, payload, peers, detail, updated_at) VALUES ($1, $2, $3, $4, $5, $6, '{}', '{}', $7, now())`,
    [this.txids[name], branch, protocol, state, name === 'one-phase', OPERATIONS[participant], protocol === '2pc' ? null : '{}']);
  }

  private async fillShop(name: Name): Promise<void> {
    const { orders, payments, inventory } = this.clients;
    const id = `o-${name}`;
    if (name !== 'one-phase') await orders.query("INSERT INTO orders VALUES ($1, 'c-1', 's-1', 2, 100, $2)", [id, isCommit(name) ? 'confirmed' : 'rejected']);
    if (name === 'saga-compensated') await inventory.query("INSERT INTO stock_movement VALUES ($1, 's-1', 2), ($1, 's-1', -2)", [id]);
    if (!isCommit(name)) return;
    await payments.query("INSERT INTO ledger_entry VALUES ($1, 'c-1', 100)", [id]);
    await payments.query("UPDATE account SET balance_cents = balance_cents - 100 WHERE customer_id = 'c-1'");
    if (name === 'one-phase') return;
    await inventory.query("INSERT INTO stock_movement VALUES ($1, 's-1', 2)", [id]);
    await inventory.query("UPDATE stock SET available = available - 2 WHERE sku = 's-1'");
  }
}

function protocolOf(name: Name): '2pc' | '3pc' | 'paxos-commit' | 'saga' {
  if (name.startsWith('paxos')) return 'paxos-commit';
  if (name.startsWith('saga')) return 'saga';
  return name.startsWith('3pc') ? '3pc' : '2pc';
}

function isCommit(name: Name): boolean {
  return outcomeOf(name) === 'committed' || outcomeOf(name) === 'completed';
}

function outcomeOf(name: Name): 'committed' | 'aborted' | 'completed' | 'compensated' {
  return name === 'one-phase' ? 'committed' : name.split('-')[1] as 'committed';
}

function payloadOf(name: Name) {
  return { orderId: `o-${name}` };
}
