import type { Kafka } from 'kafkajs';
import type { Settings } from '../connection/options.js';
import type { KafkaClient } from './client.js';
import { KafkajsClient } from './kafkajs/kafkajs-client.js';

export async function openClient(settings: Settings, kafka: Kafka): Promise<KafkaClient> {
  if (settings.client === 'kafkajs') return new KafkajsClient(kafka, settings.logger);
  // Not loaded unless wanted: it takes memory, and a newer Node than the rest.
  const { PlatformaticClient } = await import('./platformatic/platformatic-client.js');
  return new PlatformaticClient(settings);
}
