/**
 * One transaction in simulated time, with one process at each site: messages and flushes take time, and the sites of one region are down
 * from one moment to another. Steps that a site makes while it flushes share its next flush; nothing leaves before its flush.
 */
import type { OutcomeStatus } from '#libs/protocol';
import type { RoleName, RoleStep, SiteName, System, View } from '../system.js';
import { EventQueue, type Timed } from '../world/queue.js';

export interface Timing {
  /** The client is the site `client`. */
  messageMs(from: SiteName, to: SiteName): number;
  flushMs(): number;
}

/** Sites that are down from `fromMs` to `untilMs`: their memory is gone, what was durable is there when they come back. */
export interface Downtime {
  readonly sites: ReadonlySet<SiteName>;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Tells about each flush of each role. `label` is the machine's after the step. */
export type OnDurable = (role: RoleName, label: string, atMs: number) => void;

interface Site {
  readonly name: SiteName;
  up: boolean;
  /** How often it went down: what belongs to an earlier life has no effect any more. */
  life: number;
  flushing: boolean;
  gathered: Gathered[];
}

interface Gathered {
  readonly role: number;
  readonly step: RoleStep<unknown, unknown>;
  readonly label: string;
}

interface Due extends Timed {
  readonly run: () => void;
}

const STOCK = 1_000_000;

export class TimedRun {
  /** When the client had its answer, and which; null: never. */
  answer: { readonly outcome: OutcomeStatus; readonly atMs: number } | null = null;
  private readonly queue = new EventQueue<Due>();
  private nowMs = 0;
  private readonly states: unknown[];
  private readonly durables: unknown[];
  private readonly sites = new Map<SiteName, Site>();
  private readonly siteOf: Site[];
  private readonly indexOf = new Map<RoleName, number>();
  private readonly timers: Map<string, number>[];
  private timersSet = 0;
  private answering = false;

  constructor(private readonly system: System, private readonly timing: Timing, downtime: Downtime | null, private readonly onDurable: OnDurable) {
    const { roles, start } = system;
    this.states = roles.map(() => null);
    this.durables = roles.map(() => null);
    this.timers = roles.map(() => new Map());
    roles.forEach(({ name }, i) => this.indexOf.set(name, i));
    this.siteOf = roles.map(({ site }) => {
      if (!this.sites.has(site)) this.sites.set(site, { name: site, up: true, life: 0, flushing: false, gathered: [] });
      return this.sites.get(site)!;
    });
    if (downtime !== null) this.schedule(downtime);
    const asked = this.indexOf.get(start.role)!;
    this.at(timing.messageMs('client', this.siteOf[asked]!.name), () => this.arrive(asked, start.input));
  }

  /** Once: runs until nothing happens any more, `done` says so, or time is over. */
  run(untilMs: number, done: () => boolean): void {
    while (!done()) {
      const event = this.queue.pop();
      if (event === undefined || event.atMs > untilMs) return;
      this.nowMs = event.atMs;
      event.run();
    }
  }

  get view(): View {
    return { durables: this.durables, answers: this.answer === null ? [] : [this.answer.outcome] };
  }

  private at(atMs: number, run: () => void): void {
    this.queue.push({ atMs, seq: 0, run });
  }

  private schedule({ sites, fromMs, untilMs }: Downtime): void {
    for (const site of this.sites.values()) {
      if (!sites.has(site.name)) continue;
      this.at(fromMs, () => this.goDown(site));
      this.at(untilMs, () => this.comeBack(site));
    }
  }

  private goDown(site: Site): void {
    site.up = false;
    site.life += 1;
    site.flushing = false;
    site.gathered = [];
    this.siteOf.forEach((other, i) => {
      if (other !== site) return;
      this.states[i] = null;
      this.timers[i]!.clear();
    });
  }

  private comeBack(site: Site): void {
    site.up = true;
    this.siteOf.forEach((other, i) => {
      if (other !== site) return;
      const { state, input } = this.system.roles[i]!.boot(this.durables[i]);
      this.states[i] = state;
      if (input !== null) this.arrive(i, input);
    });
  }

  private arrive(role: number, input: unknown): void {
    const site = this.siteOf[role]!;
    if (!site.up) return;
    const machine = this.system.roles[role]!;
    const step = machine.step(this.states[role], input, { nowMs: this.nowMs, tenure: 1, available: STOCK });
    this.states[role] = step.state;
    site.gathered.push({ role, step, label: machine.label(step.state) });
    if (!site.flushing) this.flush(site);
  }

  private flush(site: Site): void {
    const batch = site.gathered;
    site.gathered = [];
    if (batch.every(({ step }) => step.records.length === 0)) return this.release(site, batch);
    const { life } = site;
    site.flushing = true;
    this.at(this.nowMs + this.timing.flushMs(), () => {
      if (site.life !== life) return;
      site.flushing = false;
      this.release(site, batch);
      if (site.gathered.length > 0 && !site.flushing) this.flush(site);
    });
  }

  /** Writes, then everything that waited for it. */
  private release(site: Site, batch: readonly Gathered[]): void {
    const inputs: [number, unknown][] = [];
    for (const { role, step, label } of batch) {
      for (const record of step.records) {
        const written = this.system.roles[role]!.write(this.durables[role], record, false);
        if (written === 'refused') throw new Error(`${this.system.roles[role]!.name} refused a record of its only owner`);
        this.durables[role] = written.durable;
        if (written.input !== undefined) inputs.push([role, written.input]);
      }
      if (step.records.length > 0) this.onDurable(this.system.roles[role]!.name, label, this.nowMs);
    }
    for (const { role, step } of batch) this.send(site, role, step);
    for (const [role, input] of inputs) this.arrive(role, input);
  }

  private send(site: Site, role: number, step: RoleStep<unknown, unknown>): void {
    for (const { to, message } of step.messages) {
      const receiver = this.indexOf.get(to)!;
      const input = { kind: 'MESSAGE', message };
      this.at(this.nowMs + this.timing.messageMs(site.name, this.siteOf[receiver]!.name), () => this.arrive(receiver, input));
    }
    for (const change of step.timers) this.setTimer(role, change);
    const outcome = this.system.roles[role]!.answer?.(step.state) ?? null;
    if (outcome === null || this.answering) return;
    this.answering = true;
    this.at(this.nowMs + this.timing.messageMs(site.name, 'client'), () => { this.answer = { outcome, atMs: this.nowMs }; });
  }

  private setTimer(role: number, change: RoleStep<unknown, unknown>['timers'][number]): void {
    const timers = this.timers[role]!;
    if ('cancel' in change) {
      timers.delete(change.cancel);
      return;
    }
    const { set: timer, atMs, attempt } = change;
    const id = ++this.timersSet;
    timers.set(timer, id);
    this.at(Math.max(atMs, this.nowMs), () => {
      if (timers.get(timer) !== id) return;
      timers.delete(timer);
      this.arrive(role, { kind: 'TIMER', timer, attempt });
    });
  }
}
