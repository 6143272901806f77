import { type DatabaseRole, migrate, MigrationError, migrationStatus, revertLast } from '../libs/postgres/src/migrate.ts';

const DATABASES: readonly { readonly variable: string; readonly role: DatabaseRole }[] = [
  { variable: 'COORDINATOR_DATABASE_URL', role: 'coordinator' },
  { variable: 'ORDERS_DATABASE_URL', role: 'orders' },
  { variable: 'PAYMENTS_DATABASE_URL', role: 'payments' },
  { variable: 'INVENTORY_DATABASE_URL', role: 'inventory' },
];

const HELP = `Brings the databases up to date.

  npm run migrate -- up [role]     create missing databases, apply what is not applied; running it again does nothing
  npm run migrate -- show [role]   list the migrations and whether they are applied
  npm run migrate -- down <role>   take the role's newest migration back, WITH ALL DATA IN ITS TABLES

Roles and where their databases are (a role without its variable is left out):
${DATABASES.map((d) => `  ${d.role.padEnd(12)} ${d.variable}`).join('\n')}

Example: COORDINATOR_DATABASE_URL=postgres://user:password@127.0.0.1:5432/coordinator npm run migrate -- up coordinator
`;

interface Target {
  readonly variable: string;
  readonly role: DatabaseRole;
  readonly url: string;
}

class UsageError extends Error {}

function targets(wanted: string | undefined): readonly Target[] {
  const known = DATABASES.filter((d) => wanted === undefined || d.role === wanted);
  if (known.length === 0) throw new UsageError(`unknown role "${wanted}": takes ${DATABASES.map((d) => d.role).join(', ')}`);
  const set = known.flatMap((d) => (process.env[d.variable] ? [{ ...d, url: process.env[d.variable]! }] : []));
  if (set.length === 0) throw new UsageError(`no database to work on: set ${known.map((d) => d.variable).join(', ')} to postgres://user:password@host:port/database`);
  return set;
}

async function up({ role, url }: Target): Promise<string> {
  const { database, created, applied } = await migrate(url, role);
  return `${role}: database ${database} ${created ? 'created, ' : ''}${applied.length === 0 ? 'is up to date' : `applied ${applied.join(', ')}`}`;
}

async function show({ role, url }: Target): Promise<string> {
  const status = await migrationStatus(url, role);
  return [`${role}:`, ...status.map((m) => `  ${m.applied ? 'applied' : 'pending'}  ${m.name}`)].join('\n');
}

async function down({ role, url }: Target): Promise<string> {
  const name = await revertLast(url, role);
  return `${role}: ${name === null ? 'nothing to take back' : `took ${name} back`}`;
}

const COMMANDS: Readonly<Record<string, (target: Target) => Promise<string>>> = { up, show, down };

async function run([command = 'up', role, ...rest]: readonly string[]): Promise<number> {
  if (['help', '--help', '-h'].includes(command)) {
    console.log(HELP);
    return 0;
  }
  const work = COMMANDS[command];
  if (work === undefined || rest.length > 0) throw new UsageError(work === undefined ? `unknown command "${command}"` : `unexpected "${rest.join(' ')}"`);
  if (command === 'down' && role === undefined) throw new UsageError('down takes the role whose newest migration is to be taken back');
  let failed = false;
  for (const target of targets(role)) {
    try {
      console.log(await work(target));
    } catch (error) {
      failed = true;
      console.error(`${target.role}: ${explain(error, target)}`);
    }
  }
  return failed ? 1 : 0;
}

/** One line that says what to do. URLs are not shown, because they hold passwords. */
function explain(error: unknown, target: Target): string {
  if (error instanceof MigrationError) return `${target.variable}: ${error.message}`;
  const { code, message, errors } = error as { code?: string; message: string; errors?: readonly Error[] };
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'ETIMEDOUT':
      return `no Postgres answers at ${target.variable} (${code}): is it running, are host and port right?`;
    case '28P01':
    case '28000':
      return `Postgres refuses the user or password of ${target.variable}: ${message}`;
    case '42501':
      return `the user of ${target.variable} lacks a right: ${message}. Creating a database takes CREATEDB; or create it yourself`;
    default:
      return `${code === undefined ? '' : `${code} `}${message || (errors ?? []).map((e) => e.message).join('; ')}`;
  }
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
