import { shardOf, type Envelope, type Message } from '#libs/protocol';
import type { Inbox, OutcomeEvent, Subscriber, Subscription, Transport } from '#libs/runtime';
import { InboxMember, type TopicLog } from './inbox-member.js';
import type { SimProcess } from './process.js';
import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';
import { SimulatedFault, type Wire } from './wire.js';

export const BROKER = 'broker';

export interface BusListener {
  sent(from: SimProcess, to: string, message: Message, id: number): void;
  delivered(id: number, isFirst: boolean): void;
  outcome(event: OutcomeEvent): void;
  buried(message: Message, error: Error, by: SimProcess): void;
}

/** How long a member that has died counts as one of the group. */
const SESSION_TIMEOUT_MS = { from: 300, to: 3_000 } as const;
const DUPLICATE_WITHIN_MS = 3_000;

interface Topic {
  readonly name: string;
  readonly logs: readonly TopicLog[];
  members: InboxMember[];
  /** By partition. */
  owners: (InboxMember | null)[];
  generation: number;
}

/**
 * A broker in the manner of Kafka: partitioned logs, groups that share the partitions out, offsets that say how far a group has come.
 * Every record is kept; a group reads on from what was saved, so a record comes at least once, in order while nothing fails.
 */
export class Bus {
  private readonly topics = new Map<string, Topic>();
  private lastId = 0;

  constructor(
    private readonly scheduler: Scheduler, private readonly random: Random, private readonly wire: Wire, private readonly listener: BusListener,
    private readonly partitions: { readonly coordinator: number; readonly participant: number },
  ) {}

  port(process: SimProcess): Transport {
    return {
      send: (envelopes, outcomes = []) => this.send(process, envelopes, outcomes),
      subscribe: async (inbox, subscriber) => this.join(process, inbox, subscriber),
      healthy: () => !this.wire.isDown(BROKER),
      close: async () => {},
    };
  }

  /** The group shares its partitions out anew; members that stray hear of it late. */
  rebalance(topicName: string): void {
    const topic = this.topic(topicName);
    topic.generation++;
    const turn = this.random.below(Math.max(topic.members.length, 1));
    topic.owners = topic.logs.map((_, partition) => topic.members[(partition + turn) % topic.members.length] ?? null);
    for (const member of topic.members) {
      const strays = this.wire.happens('stray');
      this.scheduler.in(strays ? this.random.next() * this.wire.faults.strayMs : this.random.between(1, 20), () => this.tell(topic, member));
    }
  }

  /** Records of which neither the group's offset nor their partition's present owner says that they are done. */
  undone(): readonly string[] {
    return [...this.topics.values()].flatMap(({ name, logs, owners }) => logs.flatMap(({ saved, records }, partition) => {
      const left = records.length - Math.max(saved, owners[partition]?.positionOf(partition) ?? 0);
      return left > 0 ? [`${name}/${partition}: ${left} records`] : [];
    }));
  }

  private async send(process: SimProcess, envelopes: readonly Envelope[], outcomes: readonly OutcomeEvent[]): Promise<void> {
    const isTorn = this.wire.happens('tornSend');
    await this.wire.request(process, BROKER, () => {
      for (const { topic, partition, messages } of this.route(envelopes)) {
        if (!isTorn || this.random.chance(0.5)) this.append(process, topic, partition, messages);
      }
      for (const outcome of outcomes) if (!isTorn || this.random.chance(0.5)) this.listener.outcome(outcome);
      if (isTorn) throw new SimulatedFault('the send broke off');
    });
  }

  private route(envelopes: readonly Envelope[]): Iterable<{ readonly topic: Topic; readonly partition: number; readonly messages: Message[] }> {
    const routed = new Map<string, { topic: Topic; partition: number; messages: Message[] }>();
    for (const { to, message } of envelopes) {
      const topic = this.topic(to.role === 'coordinator' ? 'coordinator' : to.name);
      const partition = message.kind === 'ANNOUNCE' ? 0 : shardOf(message.txid) % topic.logs.length;
      const key = `${topic.name}/${partition}`;
      const record = routed.get(key);
      if (record === undefined) routed.set(key, { topic, partition, messages: [message] });
      else record.messages.push(message);
    }
    return routed.values();
  }

  private append(from: SimProcess, topic: Topic, partition: number, messages: readonly Message[]): void {
    const firstId = this.lastId + 1;
    this.lastId += messages.length;
    messages.forEach((message, i) => this.listener.sent(from, topic.owners[partition]?.process.name ?? topic.name, message, firstId + i));
    topic.logs[partition]!.records.push({ firstId, messages });
    for (const member of topic.members) member.wake(partition);
    if (this.wire.happens('duplicate')) this.scheduler.in(this.random.next() * DUPLICATE_WITHIN_MS, () => this.append(from, topic, partition, messages));
  }

  private join(process: SimProcess, inbox: Inbox, subscriber: Subscriber): Subscription {
    const topic = this.topic(inbox.role === 'coordinator' ? 'coordinator' : inbox.name);
    const member: InboxMember = new InboxMember(process, subscriber, topic.logs, {
      scheduler: this.scheduler,
      random: this.random,
      latencyMs: () => this.wire.latencyMs(),
      isCurrent: (partition) => topic.owners[partition] === member && member.generation === topic.generation,
      delivered: (id, isFirst) => this.listener.delivered(id, isFirst),
      buried: (message, error) => this.listener.buried(message, error, process),
    });
    topic.members.push(member);
    process.whenDead(() => {
      member.close();
      this.scheduler.in(this.random.between(SESSION_TIMEOUT_MS.from, SESSION_TIMEOUT_MS.to), () => this.remove(topic, member));
    });
    this.rebalance(topic.name);
    return {
      close: async () => {
        member.save();
        member.close();
        this.remove(topic, member);
      },
    };
  }

  private remove(topic: Topic, member: InboxMember): void {
    if (!topic.members.includes(member)) return;
    topic.members = topic.members.filter((other) => other !== member);
    this.rebalance(topic.name);
  }

  /** It joins the generation that is current when it hears, whatever it has missed. */
  private tell(topic: Topic, member: InboxMember): void {
    if (member.isClosed || member.generation === topic.generation) return;
    member.save();
    member.generation = topic.generation;
    member.assign(topic.owners.flatMap((owner, partition) => (owner === member ? [partition] : [])));
  }

  private topic(name: string): Topic {
    let topic = this.topics.get(name);
    if (topic === undefined) {
      const count = name === 'coordinator' ? this.partitions.coordinator : this.partitions.participant;
      topic = { name, logs: Array.from({ length: count }, () => ({ records: [], saved: 0, deliveredTo: 0 })), members: [], owners: [], generation: 0 };
      this.topics.set(name, topic);
    }
    return topic;
  }
}
