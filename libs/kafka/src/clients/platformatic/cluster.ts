import { Connection, findCoordinatorV4, leaveGroupV4, metadataV9, type SASLMechanismValue } from '@platformatic/kafka';
import type { Settings } from '../../connection/options.js';
import { brokerErrorOf } from './errors.js';

const CONNECT_TIMEOUT_MS = 1_500;
const KEEP_ALIVE_MS = 10_000;
const KEY_IS_GROUP = 0;

export interface Broker {
  readonly host: string;
  readonly port: number;
}

/** The brokers and who of them leads what. What is asked here is asked rarely, over connections that are closed again. */
export class Cluster {
  private readonly bootstrap: readonly Broker[];

  constructor(private readonly settings: Settings) {
    this.bootstrap = settings.brokers.map(addressOf);
  }

  /** A connection that nobody else uses. An answer that takes longer than `requestTimeoutMs` closes it. */
  async connect({ host, port }: Broker, requestTimeoutMs = this.settings.requestTimeoutMs): Promise<Connection> {
    const { clientId, ssl, sasl } = this.settings;
    const connection = new Connection(clientId, {
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: requestTimeoutMs,
      ...(ssl === true ? { tls: {} } : {}),
      ...(sasl === undefined ? {} : { sasl: { mechanism: sasl.mechanism.toUpperCase() as SASLMechanismValue, username: sasl.username, password: sasl.password } }),
    });
    // Whoever waits for an answer gets the error too.
    connection.on('error', () => {});
    await connection.connect(host, port);
    connection.socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return connection;
  }

  /** The leader of each partition of each topic, by number. */
  async leaders(topics: readonly string[]): Promise<ReadonlyMap<string, readonly Broker[]>> {
    const { brokers, topics: found } = await this.ask((connection) => metadataV9.api.async(connection, [...topics], false, false, false));
    const byNode = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    return new Map(found.map(({ name, partitions }) => {
      const leaders: Broker[] = [];
      for (const { partitionIndex, leaderId } of partitions) {
        const leader = byNode.get(leaderId);
        if (leader === undefined) throw new Error(`the leader of ${name}/${partitionIndex} is not known`);
        leaders[partitionIndex] = leader;
      }
      return [name ?? '', leaders];
    }));
  }

  async coordinatorOf(group: string): Promise<Broker> {
    const { coordinators } = await this.ask((connection) => findCoordinatorV4.api.async(connection, KEY_IS_GROUP, [group]));
    return coordinators[0]!;
  }

  /** Over a connection of its own: the broker looks at nothing else on one where it holds back the answer to a join. */
  async leaveGroup(group: string, memberId: string): Promise<void> {
    const connection = await this.connect(await this.coordinatorOf(group));
    try {
      await leaveGroupV4.api.async(connection, group, [{ memberId }]);
    } finally {
      await connection.close();
    }
  }

  /** Asks the first broker that can be reached. */
  private async ask<T>(question: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.reachAny();
    try {
      return await question(connection);
    } catch (error) {
      throw brokerErrorOf(error);
    } finally {
      await connection.close();
    }
  }

  private async reachAny(): Promise<Connection> {
    let refusal: unknown;
    for (const broker of this.bootstrap) {
      try {
        return await this.connect(broker);
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  }
}

function addressOf(text: string): Broker {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replaceAll(/[[\]]/g, ''), port: Number(text.slice(colon + 1)) };
}
