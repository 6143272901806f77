import { type Database, DATABASES } from './settings.ts';

/** Creates and migrates what is not up to date, and puts the shop's seed data where it is missing. From dist/: only after the build. */
export async function prepareDatabases(urls: Readonly<Record<Database, string>>, log: (line: string) => void): Promise<void> {
  const { createPool, migrate, seedShop } = await import('#libs/postgres');
  const reports = await Promise.all(DATABASES.map((name) => migrate(urls[name], name)));
  const applied = reports.reduce((sum, report) => sum + report.applied.length, 0);
  if (applied > 0) log(`Databases: ${applied} migrations applied`);
  await Promise.all(DATABASES.map(async (name) => {
    const pool = createPool(urls[name], { max: 1, applicationName: 'concordat-seed' });
    try {
      await seedShop(name, (sql) => pool.query(sql));
    } finally {
      await pool.end();
    }
  }));
}
