// Real servers, once for all e2e files. Loaded by Node itself (type stripping), not by Jest's transform.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startStack } from '../tools/stack.ts';

export default async () => {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-e2e-'));
  const stack = await startStack({ dataDir, kafka: true, log: (line) => process.stderr.write(`${line}\n`) });
  process.env.PG_ADMIN_URL = stack.postgres.adminUrl;
  process.env.KAFKA_BROKERS = stack.kafka.brokers;
  globalThis.concordatStack = { stack, dataDir };
};
