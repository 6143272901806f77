// `npm start`. Must parse on old versions of Node too, to be able to say so.
import process from 'process';

const HELP = `npm start: runs all of Concordat on this machine, with nothing prepared.

Installs packages, builds, starts PostgreSQL 18 and Apache Kafka 4.1 (embedded; Java 17 and Maven needed, without them an
in-process bus is used), migrates and seeds the databases, starts the coordinator, orders, payments, inventory and the storefront,
shows one checkout that commits and one that is refused, and keeps running until Ctrl-C.

Environment (all of it: docs/operations.md)
  CONCORDAT_DATA_DIR                         where data, tokens and logs are kept          .concordat
  COORDINATOR_DATABASE_URL, ORDERS_DATABASE_URL, PAYMENTS_DATABASE_URL, INVENTORY_DATABASE_URL
                                             Postgres servers to use                       embedded
  KAFKA_BROKERS                              Kafka cluster to use, host:port,...           embedded
  TRANSPORT=memory                           one process, no Kafka
  HOST                                       where to listen                               127.0.0.1
  COORDINATOR_PORT, ORDERS_PORT, PAYMENTS_PORT, INVENTORY_PORT, STOREFRONT_PORT            3000, 3001, 3002, 3003, 3010
  LOG_LEVEL                                  of the services                               info
`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(HELP);
} else if (args.length > 0) {
  console.error('concordat: unknown option ' + args[0] + '; npm start takes only --help (npm start -- --help)');
  process.exitCode = 2;
} else if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error('concordat: Node ' + process.versions.node + ' is too old: install Node 20 or later (https://nodejs.org, or nvm install 22) and start again');
  process.exitCode = 1;
} else {
  void import('./bootstrap.mjs').then((bootstrap) => bootstrap.runTool('start.ts', args));
}
