import { type BeforeApplicationShutdown, Inject, Injectable, type OnModuleInit, Optional } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { TypeOrmBranchStore } from '#libs/postgres';
import { type BranchStore, DEFAULT_PARTICIPANT_OPTIONS, type InboundBatch, ParticipantDriver, siteConfig, type SiteConfig, SystemClock, type Transport, withCrashPoints } from '#libs/runtime';
import { createLogger, HealthRegistry, type Logger, LOGGER, Registry } from '#libs/service';
import type { DataSource, EntityManager } from 'typeorm';
import { Announcer } from './announcer.js';
import { Participant } from './decorators.js';
import { announcedOperations, defineParticipant, type ParticipantDefinition } from './definition.js';
import { ParticipantDefinitionError } from './errors.js';
import { ParticipantHandlerRunner } from './handler-runner.js';
import { ParticipantMetrics } from './metrics.js';
import { ParticipantReporter } from './observer.js';
import { PARTICIPANT_DATA_SOURCE, PARTICIPANT_OPTIONS, type ParticipantModuleOptions } from './options.js';

interface Ports {
  readonly store: BranchStore<EntityManager>;
  readonly transport: Transport;
}

/** Wires one participant: finds its handlers, drives its inbox, announces it, and stops in the right order. */
@Injectable()
export class ParticipantHost implements OnModuleInit, BeforeApplicationShutdown {
  private driver: ParticipantDriver<EntityManager> | null = null;
  private announcer: Announcer | null = null;
  private joined = false;
  private readonly logger: Logger;

  constructor(
    @Inject(PARTICIPANT_OPTIONS) private readonly options: ParticipantModuleOptions,
    @Inject(PARTICIPANT_DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Optional() @Inject(LOGGER) logger: Logger | null,
    @Optional() @Inject(Registry) private readonly registry: Registry | null,
    @Optional() @Inject(HealthRegistry) private readonly health: HealthRegistry | null,
  ) {
    this.logger = logger ?? createLogger(options.name, process.env);
  }

  /** @throws ParticipantDefinitionError */
  async onModuleInit(): Promise<void> {
    const definition = this.define();
    const metrics = this.registry ? new ParticipantMetrics(this.registry, () => this.driver) : null;
    const role = this.options.acceptorOnly === true ? 'acceptor' : 'participant';
    const ports = withCrashPoints({ store: new TypeOrmBranchStore(this.dataSource), transport: this.options.transport }, role, process.env);
    this.driver = this.createDriver(definition, ports, new ParticipantReporter(this.logger, metrics));
    this.announcer = this.createAnnouncer(definition, ports.transport);
    this.registerChecks();
    await this.driver.start();
    this.announcer.start();
  }

  /** Announcements end and the open batches are finished while the consumer is still in its group, so that their offsets are saved. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.announcer?.stop();
    await this.driver?.stop();
  }

  async assigned(partitions: readonly number[]): Promise<void> {
    await this.running().assigned(partitions);
    this.joined = true;
  }

  deliver(batch: InboundBatch): Promise<void> {
    return this.running().deliver(batch);
  }

  /** Branches that voted yes and have not heard the decision. */
  inDoubt(): ReturnType<ParticipantDriver<EntityManager>['inDoubt']> {
    return this.running().inDoubt();
  }

  /** Branches whose commit or abort handler fails. */
  parked(): ReturnType<ParticipantDriver<EntityManager>['parked']> {
    return this.running().parked();
  }

  get name(): string {
    return this.options.name;
  }

  get instance(): string {
    return this.options.instance;
  }

  private running(): ParticipantDriver<EntityManager> {
    if (this.driver === null) throw new Error(`participant ${this.options.name} is not initialized yet`);
    return this.driver;
  }

  private define(): ParticipantDefinition {
    const { name, acceptorOnly } = this.options;
    if (acceptorOnly === true) return new Map();
    const wrappers = this.discovery.getProviders({ metadataKey: Participant.KEY }).filter((wrapper) => this.discovery.getMetadataByDecorator(Participant, wrapper) === name);
    const instances = new Set(wrappers.map((wrapper) => wrapper.instance as object));
    if (instances.size === 0) throw new ParticipantDefinitionError('UNKNOWN_PARTICIPANT', `no provider is decorated with @Participant('${name}'); add one to a module that the application imports`);
    return defineParticipant(name, [...instances]);
  }

  private createDriver(definition: ParticipantDefinition, { store, transport }: Ports, observer: ParticipantReporter): ParticipantDriver<EntityManager> {
    const { partitions, lanes = DEFAULT_PARTICIPANT_OPTIONS.lanes } = this.options;
    return new ParticipantDriver<EntityManager>({
      store,
      ...(this.options.acceptorOnly === true ? {} : { runner: new ParticipantHandlerRunner(definition, { isTransient: (error) => store.isTransient(error), observer }) }),
      transport,
      clock: new SystemClock(),
      config: siteConfigOf(this.options),
      observer,
      options: { ...DEFAULT_PARTICIPANT_OPTIONS, partitions, lanes, subscribe: false },
    });
  }

  private createAnnouncer(definition: ParticipantDefinition, transport: Transport): Announcer {
    const { name, instance, version = '0.0.0', announceEveryMs } = this.options;
    return new Announcer({
      transport,
      announcement: { kind: 'ANNOUNCE', participant: name, instance, version, operations: announcedOperations(definition), acceptor: true },
      ...(announceEveryMs === undefined ? {} : { everyMs: announceEveryMs }),
      onError: (error) => this.logger.warn({ err: error }, 'could not announce this participant; trying again'),
    });
  }

  private registerChecks(): void {
    this.health?.register('database', async () => {
      await this.dataSource.query('SELECT 1');
      return { ok: true };
    });
    this.health?.register('inbox', () => {
      if (!this.joined) return { ok: false, detail: 'the consumer has not joined its group yet' };
      return this.options.transport.healthy() ? { ok: true } : { ok: false, detail: 'the broker is out of reach' };
    });
  }
}

/** What is repeated at growing intervals begins with what was asked for, however long that is. */
function siteConfigOf({ name, site = {} }: ParticipantModuleOptions): SiteConfig {
  const config = siteConfig({ ...site, name });
  return {
    ...config,
    maxInquireIntervalMs: Math.max(config.maxInquireIntervalMs, config.inquireAfterMs),
    maxResolveIntervalMs: Math.max(config.maxResolveIntervalMs, config.resolveAfterMs),
    maxPaxosRepeatIntervalMs: Math.max(config.maxPaxosRepeatIntervalMs, config.paxosRepeatAfterMs),
    maxLeaderResendIntervalMs: Math.max(config.maxLeaderResendIntervalMs, config.leaderResendAfterMs),
  };
}
