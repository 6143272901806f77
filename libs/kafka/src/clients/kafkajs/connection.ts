import net from 'node:net';
import tls from 'node:tls';
import { type ISocketFactory, Kafka, type KafkaConfig, logLevel, type RetryOptions, type SASLOptions } from 'kafkajs';
import type { TransportLogger } from '../../logger.js';
import type { Settings } from '../../connection/options.js';
import { mendRequestQueue } from './request-queue.js';

const KEEP_ALIVE_MS = 10_000;
const CONNECT_TIMEOUT_MS = 1_500;

/** Short and bounded: whoever asks repeats, and must learn soon that the broker is in trouble. */
export const FEW_RETRIES: RetryOptions = { retries: 2, initialRetryTime: 60, maxRetryTime: 250 };
/**
 * One attempt. For writing there must be no more: a repetition inside kafkajs (2.2.4, sendMessages.js) asks only the brokers that have
 * not answered yet, and so loses what a broker that has answered has come to lead since.
 */
export const NO_RETRY: RetryOptions = { retries: 0, initialRetryTime: 60, maxRetryTime: 60 };

export function connectKafkajs(settings: Settings): Kafka {
  mendRequestQueue();
  return new Kafka({
    clientId: settings.clientId,
    brokers: [...settings.brokers],
    ssl: settings.ssl ?? false,
    ...(settings.sasl === undefined ? {} : { sasl: { ...settings.sasl } as SASLOptions }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: settings.requestTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    socketFactory,
    logLevel: logLevel.INFO,
    logCreator: bridge(settings.logger),
    retry: FEW_RETRIES,
  });
}

/** kafkajs leaves Nagle's algorithm on, which together with delayed acknowledgements holds small requests back for up to 40 ms. */
const socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const socket = ssl
    ? tls.connect({ host, port, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
    : net.connect({ host, port }, onConnect);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.setNoDelay(true);
  return socket;
};

/** Everything that kafkajs reports also comes back as a rejection or a crash event, and is logged there once, with its consequence. */
function bridge(logger: TransportLogger): NonNullable<KafkaConfig['logCreator']> {
  return () => ({ namespace, label, log }) => {
    const { message, stack: _stack, timestamp: _timestamp, logger: _logger, ...rest } = log;
    logger.debug({ kafkajs: label, namespace, ...rest }, message);
  };
}
