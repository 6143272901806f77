import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { choosePort, tryListen } from '../stack/ports.ts';
import { SetupError } from '../stack/setup-error.ts';

export const SERVICES = ['coordinator', 'orders', 'payments', 'inventory', 'storefront'] as const;
export const DATABASES = ['coordinator', 'orders', 'payments', 'inventory'] as const;
export type Service = (typeof SERVICES)[number];
export type Database = (typeof DATABASES)[number];

const DEFAULT_PORTS: Readonly<Record<Service, number>> = { coordinator: 3000, orders: 3001, payments: 3002, inventory: 3003, storefront: 3010 };

/** What `npm start` itself takes from the environment; the services read the rest. */
export interface Settings {
  readonly dataDir: string;
  readonly host: string;
  readonly ports: Readonly<Record<Service, number>>;
  /** Databases that are given; the others are embedded. */
  readonly databaseUrls: Readonly<Partial<Record<Database, string>>>;
  /** Null: embedded Kafka, or the in-process bus. */
  readonly brokers: string | null;
  /** Null: Kafka if it can be had. */
  readonly transport: 'kafka' | 'memory' | null;
  readonly tokensFile: string;
  readonly auth: 'tokens' | 'jwks' | 'off';
}

type Env = NodeJS.ProcessEnv;

/** @throws SetupError INVALID_CONFIGURATION */
export function settingsFrom(env: Env): Settings {
  const dataDir = path.resolve(env.CONCORDAT_DATA_DIR || fileURLToPath(new URL('../../.concordat', import.meta.url)));
  return {
    dataDir,
    host: env.HOST || '127.0.0.1',
    ports: Object.fromEntries(SERVICES.map((service) => [service, portFrom(env, service)])) as Record<Service, number>,
    databaseUrls: Object.fromEntries(DATABASES.flatMap((database) => { const url = env[databaseVariable(database)]; return url ? [[database, url]] : []; })),
    brokers: env.KAFKA_BROKERS || null,
    transport: transportFrom(env),
    tokensFile: path.resolve(env.CONCORDAT_TOKENS_FILE || path.join(dataDir, 'tokens.json')),
    auth: env.CONCORDAT_AUTH === 'off' ? 'off' : env.CONCORDAT_JWKS_URL ? 'jwks' : 'tokens',
  };
}

export function portVariable(service: Service): string {
  return `${service.toUpperCase()}_PORT`;
}

export function databaseVariable(database: Database): string {
  return `${database.toUpperCase()}_DATABASE_URL`;
}

/** The same settings with every port known to be free: 0 becomes one of the system's choice. @throws SetupError PORT_IN_USE */
export async function withFreePorts(settings: Settings): Promise<Settings> {
  const ports: Record<Service, number> = { ...settings.ports };
  for (const service of SERVICES) {
    if (ports[service] === 0) ports[service] = await choosePort(undefined, Object.values(ports));
    const answer = await tryListen(ports[service], settings.host);
    if (!answer.ok) throw portError(service, ports[service], settings.host, answer.code);
  }
  return { ...settings, ports };
}

/** Where a client on this machine reaches the service. */
export function urlOf(settings: Settings, service: Service): string {
  const host = settings.host === '0.0.0.0' ? '127.0.0.1' : settings.host === '::' ? '::1' : settings.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${settings.ports[service]}`;
}

function portFrom(env: Env, service: Service): number {
  const variable = portVariable(service);
  const value = env[variable]?.trim();
  if (!value) return DEFAULT_PORTS[service];
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535) throw invalid(`${variable} got "${value}"; it takes a whole number from 0 to 65535`);
  return Number(value);
}

function transportFrom(env: Env): Settings['transport'] {
  const value = env.TRANSPORT || null;
  if (value === null || value === 'kafka' || value === 'memory') return value;
  throw invalid(`TRANSPORT got "${value}"; it takes "kafka" or "memory"`);
}

function portError(service: Service, port: number, host: string, code: string): SetupError {
  const variable = portVariable(service);
  if (code === 'EADDRINUSE') return new SetupError('PORT_IN_USE', `Port ${port} (${variable}) is in use on ${host}: stop what listens there, or set ${variable} to a free port.`);
  if (code === 'EACCES') return new SetupError('PORT_IN_USE', `Port ${port} (${variable}) may not be opened by this user: set ${variable} to a port above 1023.`);
  return invalid(`HOST got "${host}"; it takes an address of this machine, such as 127.0.0.1 or 0.0.0.0 (${code})`);
}

function invalid(message: string): SetupError {
  return new SetupError('INVALID_CONFIGURATION', message);
}
