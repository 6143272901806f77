// Creates, migrates and seeds the four databases of the environment; for containers, where nobody else does. Needs dist/.
import { prepareDatabases } from './start/databases.ts';
import { type Database, DATABASES, databaseVariable } from './start/settings.ts';

const urls: Partial<Record<Database, string>> = Object.fromEntries(DATABASES.map((name) => [name, process.env[databaseVariable(name)]]));
const missing = DATABASES.filter((name) => !urls[name]).map(databaseVariable);
if (missing.length > 0) {
  console.error(`prepare-databases: ${missing.join(', ')} not set; each takes postgres://user:password@host:port/database`);
  process.exit(2);
}
await prepareDatabases(urls as Record<Database, string>, console.log);
console.log('The databases are ready.');
