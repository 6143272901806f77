import { Controller, type DynamicModule, Inject, Module, Post } from '@nestjs/common';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { checkAddress, createHttpApp, createLogger, Direct, envDatabaseUrl, envInt, envPort, listenHttp, type StartApp, validationProblem } from '#libs/service';
import type { Checkout } from '#libs/shop/checkout';
import { inStatements, openMonolith, type Pool } from './monolith.js';

const POOL = Symbol('POOL');

const id = { type: 'string', minLength: 1, maxLength: 100 };
const isCheckout = new Ajv2020().compile<Checkout>({
  type: 'object',
  properties: { orderId: id, customerId: id, sku: id, quantity: { type: 'integer', minimum: 1, maximum: 1_000_000_000 }, amountCents: { type: 'integer', minimum: 1, maximum: 1_000_000_000_000 } },
  required: ['orderId', 'customerId', 'sku', 'quantity', 'amountCents'],
  additionalProperties: false,
});

@Controller('checkout')
class LocalCheckoutController {
  constructor(@Inject(POOL) private readonly pool: Pool) {}

  /** The shortest way through the server, as the coordinator's own busiest routes take it. 200 for a checkout that was rolled back, too, as it answers an abort. */
  @Post()
  @Direct('submit')
  async checkout({ body }: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!isCheckout(body)) throw validationProblem(isCheckout.errors!.map(({ instancePath, message }) => ({ path: instancePath.slice(1), message: message ?? 'is not valid' })), 'body');
    void reply.type('application/json; charset=utf-8').send(JSON.stringify(await inStatements(this.pool, body)));
  }
}

@Module({})
export class LocalModule {
  static forRoot(pool: Pool): DynamicModule {
    return { module: LocalModule, controllers: [LocalCheckoutController], providers: [{ provide: POOL, useValue: pool }] };
  }
}

/**
 * The monolith behind the coordinator's own HTTP server, but for the token: POST /checkout as one local transaction.
 * LOCAL_DATABASE_URL; LOCAL_PORT, default 0: the system's choice; LOCAL_POOL, default 16: connections.
 */
export const startLocal: StartApp = async (env) => {
  const logger = createLogger('local', env);
  const databaseUrl = envDatabaseUrl(env, 'LOCAL_DATABASE_URL');
  const connections = envInt(env, 'LOCAL_POOL', { default: 16, min: 1, max: 1_000 });
  const address = { host: '127.0.0.1', port: envPort(env, 'LOCAL_PORT', 0), portVariable: 'LOCAL_PORT' };
  await checkAddress(address);
  const pool = await openMonolith(databaseUrl, connections);
  try {
    const app = await createHttpApp(LocalModule.forRoot(pool), { name: 'local', auth: 'public', logger });
    const url = await listenHttp(app, address);
    process.stdout.write(`listening on ${url}\n`);
    return { name: 'local', url, close: async () => { await app.close(); await pool.end(); } };
  } catch (error) {
    await pool.end();
    throw error;
  }
};
