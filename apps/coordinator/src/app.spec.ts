import 'reflect-metadata';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { MemoryTransport } from '#libs/kafka';
import { startCoordinator } from './app.js';

const servers: net.Server[] = [];
afterEach(() => { for (const server of servers.splice(0)) server.close(); });

describe('the start of a coordinator', () => {
  it('that cannot have its address ends before the database is asked for anything', async () => {
    let connections = 0;
    const database = net.createServer((socket) => { connections++; socket.destroy(); }).listen(0, '127.0.0.1');
    const occupied = net.createServer().listen(0, '127.0.0.1');
    servers.push(database, occupied);
    await Promise.all([once(database, 'listening'), once(occupied, 'listening')]);
    const [databasePort, port] = [database, occupied].map((server) => (server.address() as AddressInfo).port);
    const env = { COORDINATOR_DATABASE_URL: `postgres://postgres@127.0.0.1:${databasePort}/x`, COORDINATOR_PORT: String(port), CONCORDAT_AUTH: 'off', LOG_LEVEL: 'silent' };
    const bus = new MemoryTransport({ coordinatorShards: 1, participantPartitions: 1 });
    await expect(startCoordinator(env, { transport: bus })).rejects.toThrow(`COORDINATOR_PORT ${port} is in use`);
    expect(connections).toBe(0);
    await bus.close();
  });
});
