import { type DynamicModule, Module } from '@nestjs/common';
import { ConcordatClient } from '#libs/client';
import { checkAddress, createHttpApp, createLogger, HealthRegistry, listenHttp, setupOpenApi, type StartApp } from '#libs/service';
import { CheckoutController, COORDINATOR } from './checkout.controller.js';
import { type StorefrontConfig, storefrontConfig } from './config.js';
import { CONFIG, ReadsController } from './reads.controller.js';

@Module({})
class StorefrontModule {
  static forRoot(config: StorefrontConfig, coordinator: ConcordatClient): DynamicModule {
    return {
      module: StorefrontModule,
      controllers: [CheckoutController, ReadsController],
      providers: [{ provide: CONFIG, useValue: config }, { provide: COORDINATOR, useValue: coordinator }],
    };
  }
}

/** The shop's window: `POST /checkout` as one transaction, reads from the services that own the data. */
export const startStorefront: StartApp = async (env) => {
  const logger = createLogger('storefront', env);
  const config = storefrontConfig(env, logger);
  const address = { host: config.host, port: config.port, portVariable: 'STOREFRONT_PORT' };
  await checkAddress(address);
  const coordinator = new ConcordatClient({ url: config.coordinatorUrl, ...(config.submitToken === null ? {} : { token: config.submitToken }) });
  const app = await createHttpApp(StorefrontModule.forRoot(config, coordinator), { name: 'storefront', bodyLimitBytes: 16_384, auth: config.auth, logger });
  setupOpenApi(app, { title: 'Concordat storefront', description: 'A shop whose checkout is one distributed transaction.', version: '0.1.0' });
  app.get(HealthRegistry).register('coordinator', () => coordinatorAnswers(config.coordinatorUrl));
  const url = await listenHttp(app, address);
  logger.info({ url }, `storefront at ${url}`);
  return { name: 'storefront', url, close: async () => { await app.close(); await coordinator.close(); } };
};

async function coordinatorAnswers(url: string): Promise<{ ok: boolean; detail?: string }> {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(1500) });
  await response.body?.cancel();
  return response.ok ? { ok: true } : { ok: false, detail: `the coordinator answers ${response.status}` };
}
