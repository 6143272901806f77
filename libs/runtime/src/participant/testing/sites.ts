import { makeTxid, type Envelope, type Message, type Txid } from '#libs/protocol';
import type { Subscription, Transport } from '../../ports.js';
import { ParticipantDriver } from '../driver.js';
import type { SiteConfig } from '../site-config.js';
import type { ParticipantOptions } from '../types.js';
import { FakeClock, turns } from './fake-clock.js';
import { FakeBatch } from './fake-transport.js';
import { LedgerRunner } from './ledger-runner.js';
import { MemoryBranchStore, type Ledger } from './memory-branch-store.js';
import { describe } from './words.js';

export interface Site {
  readonly name: string;
  readonly store: MemoryBranchStore;
  readonly runner: LedgerRunner;
  readonly errors: unknown[];
  driver: ParticipantDriver<Ledger>;
}

/** Several services, each with a database of its own, and a wire between them. The coordinator is whoever writes the test: what is sent to it is kept. */
export class Sites {
  readonly clock = new FakeClock();
  readonly sites: ReadonlyMap<string, Site>;
  /** Everything that travelled: from, to, in a few words. */
  readonly wire: string[] = [];
  readonly toCoordinator: Message[] = [];
  /** These are silent; what is sent to them waits for them. */
  readonly down = new Set<string>();
  private readonly waiting = new Map<string, Message[]>();
  private lastRandom = 0;

  private constructor(readonly names: readonly string[], private readonly config: Partial<SiteConfig>, private readonly options: Partial<ParticipantOptions>) {
    this.sites = new Map(names.map((name) => [name, this.newSite(name)]));
  }

  static async started(names: readonly string[], config: Partial<SiteConfig> = {}, options: Partial<ParticipantOptions> = {}): Promise<Sites> {
    const sites = new Sites(names, config, options);
    for (const { driver } of sites.sites.values()) await driver.assigned([0]);
    await turns();
    return sites;
  }

  site(name: string): Site {
    return this.sites.get(name)!;
  }

  txid(): Txid {
    const random = new Uint8Array(8);
    new DataView(random.buffer).setUint32(4, ++this.lastRandom);
    return makeTxid(0, this.clock.now(), random);
  }

  /** What the coordinator sends. */
  async send(to: string, ...messages: readonly Message[]): Promise<void> {
    this.carry('coordinator', messages.map((message) => ({ to: { role: 'participant', name: to }, message })));
    await turns();
  }

  /** State of the branch with the number that this site has in the list of names. */
  states(txid: Txid): readonly (string | null)[] {
    return this.names.map((name, branch) => this.site(name).store.row({ txid, branch })?.state ?? null);
  }

  /** Nothing but the database is left of this site's process. */
  async restart(name: string): Promise<void> {
    const site = this.site(name);
    void site.driver.stop();
    await turns();
    site.driver = this.newDriver(site);
    await site.driver.assigned([0]);
    await turns();
  }

  async comeBack(name: string): Promise<void> {
    this.down.delete(name);
    const messages = this.waiting.get(name) ?? [];
    this.waiting.delete(name);
    void this.site(name).driver.deliver(new FakeBatch(messages));
    await turns();
  }

  private newSite(name: string): Site {
    const site = { name, store: new MemoryBranchStore(), runner: new LedgerRunner(), errors: [] };
    return { ...site, driver: this.newDriver(site) };
  }

  private newDriver({ name, store, runner, errors }: Omit<Site, 'driver'>): ParticipantDriver<Ledger> {
    return new ParticipantDriver({
      store, runner, clock: this.clock, transport: this.transportOf(name), config: { name, ...this.config },
      options: { partitions: 1, subscribe: false, ...this.options }, observer: { error: (error) => errors.push(error) },
    });
  }

  private transportOf(name: string): Transport {
    return {
      send: async (envelopes) => this.carry(name, envelopes),
      subscribe: async (): Promise<Subscription> => ({ close: async () => {} }),
      healthy: () => true,
      close: async () => {},
    };
  }

  private carry(from: string, envelopes: readonly Envelope[]): void {
    if (this.down.has(from)) return;
    const byName = new Map<string, Message[]>();
    for (const { to, message } of envelopes) {
      const name = to.role === 'coordinator' ? to.role : to.name;
      if (message.kind !== 'ANNOUNCE') this.wire.push(`${from} -> ${name}: ${describe(message)}`);
      byName.set(name, [...(byName.get(name) ?? []), message]);
    }
    for (const [name, messages] of byName) this.arrive(name, messages);
  }

  private arrive(name: string, messages: readonly Message[]): void {
    if (name === 'coordinator') this.toCoordinator.push(...messages);
    else if (this.down.has(name)) this.waiting.set(name, [...(this.waiting.get(name) ?? []), ...messages]);
    else void this.sites.get(name)?.driver.deliver(new FakeBatch(messages));
  }
}
