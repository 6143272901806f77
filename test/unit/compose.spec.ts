import { afterAll, describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createLogger } from '#libs/service';
import { parse } from 'yaml';
import { configFromEnv } from '../../apps/coordinator/src/config.js';
import { storefrontConfig } from '../../apps/storefront/src/config.js';
import { readAcceptorSettings, readSettings } from '../../libs/participant/src/app-settings.js';
import { DATABASES, databaseVariable, SERVICES, settingsFrom } from '../../tools/start/settings.js';

// Nobody runs the containers here; what can drift apart from the code are the variables and ports, and those are compared with it.

interface ComposeService {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
}

const text = fs.readFileSync('docker-compose.yml', 'utf8');
const { services } = parse(text, { merge: true }) as { services: Readonly<Record<string, ComposeService>> };
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'concordat-compose-'));
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));

/** What the container would see, with the variables of the person who starts it filled in; remembers what was looked at. */
function environmentOf(name: string): { readonly env: NodeJS.ProcessEnv; readonly read: Set<string> } {
  const read = new Set<string>();
  const values = Object.fromEntries(Object.entries(services[name]!.environment).map(([key, value]) => [key, interpolate(String(value))]));
  values.LOG_LEVEL = 'silent';
  // The folder of the container does not exist here.
  if (values.CONCORDAT_DATA_DIR !== undefined) values.CONCORDAT_DATA_DIR = scratch;
  const note = (key: string | symbol): void => void (typeof key === 'string' && read.add(key));
  const env = new Proxy<NodeJS.ProcessEnv>(values, { get: (target, key) => { note(key); return target[key as string]; } });
  return { env, read };
}

function interpolate(value: string): string {
  return value.replaceAll(/\$\{(\w+)(?::-([^}]*))?[^}]*\}/g, (_all, _name: string, fallback: string | undefined) => fallback ?? 'secret');
}

/** The configuration as the service's own code reads it from that environment. */
function configure(name: string, env: NodeJS.ProcessEnv): { readonly host: string; readonly port: number; readonly brokers?: readonly string[]; readonly urls?: readonly string[] } {
  const logger = createLogger(name, { LOG_LEVEL: 'silent' });
  if (name === 'coordinator') {
    const config = configFromEnv(env, logger, false);
    return { ...config, brokers: config.kafka!.brokers };
  }
  if (name === 'storefront') {
    const config = storefrontConfig(env, logger);
    return { ...config, urls: [config.coordinatorUrl, ...Object.values(config.services)] };
  }
  return { ...(name === 'acceptor' ? readAcceptorSettings(0, env) : readSettings(name, 0, env)), brokers: [env.KAFKA_BROKERS!] };
}

describe('docker-compose.yml', () => {
  it('has every service, and runs its main program', () => {
    for (const name of SERVICES) {
      expect(services[name]!.command.at(-1)).toBe(`dist/apps/${name}/src/main.js`);
      expect(fs.existsSync(`apps/${name}/src/main.ts`)).toBe(true);
    }
  });

  it.each([...SERVICES, 'acceptor'])('configures %s as its code takes it: valid, and with no variable that nobody reads', (name) => {
    const { env, read } = environmentOf(name);
    createLogger(name, env);
    const config = configure(name, env);
    expect(config.host).toBe('0.0.0.0');
    expect(config.brokers ?? ['kafka:9092']).toEqual(['kafka:9092']);
    expect(Object.keys(services[name]!.environment).filter((key) => !read.has(key))).toEqual([]);
  });

  it.each([...SERVICES])('publishes the port that %s listens on, to this machine only, under its default number, and checks its health there', (name) => {
    const { port } = configure(name, environmentOf(name).env);
    expect(services[name]!.ports).toEqual([`127.0.0.1:\${${name.toUpperCase()}_PORT:-${settingsFrom({}).ports[name]}}:${port}`]);
    expect(services[name]!.healthcheck!.test.join(' ')).toContain(`http://127.0.0.1:${port}/health/ready`);
  });

  it('starts an acceptor of its own only when asked to', () => {
    expect(services.acceptor!.profiles).toEqual(['acceptor']);
    expect(services.acceptor!.command.at(-1)).toBe('dist/apps/acceptor/src/main.js');
    expect(fs.existsSync('apps/acceptor/src/main.ts')).toBe(true);
    expect(configure('acceptor', environmentOf('acceptor').env)).toMatchObject({ name: 'acceptor-1', port: 3004 });
    expect(Object.values(services).filter((service) => service.profiles === undefined).length).toBe(Object.keys(services).length - 1);
  });

  it('tells the storefront the addresses at which the others listen', () => {
    const expected = ['coordinator', 'orders', 'payments', 'inventory'].map((name) => `http://${name}:${configure(name, environmentOf(name).env).port}`);
    expect(configure('storefront', environmentOf('storefront').env).urls).toEqual(expected);
  });

  it('prepares exactly the databases that the services use', () => {
    const prepared = services.databases!.environment;
    expect(Object.keys(prepared).sort()).toEqual(DATABASES.map(databaseVariable).sort());
    for (const name of DATABASES) expect(prepared[databaseVariable(name)]).toBe(services[name]!.environment[databaseVariable(name)]);
    expect(fs.existsSync(services.databases!.command.at(-1)!)).toBe(true);
  });

  it('holds no password: it must be given', () => {
    expect(services.postgres!.environment.POSTGRES_PASSWORD).toMatch(/^\$\{POSTGRES_PASSWORD:\?/);
    expect([...text.matchAll(/postgres:\/\/postgres:([^@]+)@/g)].map((match) => match[1]).filter((password) => password !== '${POSTGRES_PASSWORD}')).toEqual([]);
  });
});

describe('Dockerfile', () => {
  it('runs as an unprivileged user and copies only what .dockerignore lets through', () => {
    const dockerfile = fs.readFileSync('Dockerfile', 'utf8');
    expect(dockerfile).toMatch(/\nUSER node\nCMD/);
    const allowed = fs.readFileSync('.dockerignore', 'utf8').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap((match) => match[1]!.split(' ').slice(0, -1)).map((name) => name.replace('./', ''));
    expect(copied.length).toBeGreaterThan(5);
    expect(copied.filter((name) => !allowed.includes(name) || !fs.existsSync(name))).toEqual([]);
  });
});
