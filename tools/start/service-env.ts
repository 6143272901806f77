import type { Servers } from './servers.ts';
import { DATABASES, databaseVariable, portVariable, SERVICES, type Settings, urlOf } from './settings.ts';

/** The environment of a service process: `given`, and what the settings and servers say. Addresses of other services may be given, too. */
export function serviceEnv(settings: Settings, { databaseUrls, brokers }: Pick<Servers, 'databaseUrls' | 'brokers'>, given: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    NODE_ENV: 'production',
    ...Object.fromEntries(SERVICES.map((name) => [`${name.toUpperCase()}_URL`, urlOf(settings, name)])),
    ...given,
    CONCORDAT_DATA_DIR: settings.dataDir,
    HOST: settings.host,
    TRANSPORT: brokers === null ? 'memory' : 'kafka',
    ...(brokers === null ? {} : { KAFKA_BROKERS: brokers }),
    ...Object.fromEntries(SERVICES.map((name) => [portVariable(name), String(settings.ports[name])])),
    ...Object.fromEntries(DATABASES.map((name) => [databaseVariable(name), databaseUrls[name]])),
  };
}
