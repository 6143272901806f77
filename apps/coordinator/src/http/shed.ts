import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { OverloadCode } from '#libs/runtime';
import { PROBLEM_MEDIA_TYPE, problemOf } from '#libs/service';

const ROUTE = '/v1/transactions';
const BODIES: Readonly<Record<OverloadCode, Buffer>> = {
  OVERLOADED: bodyOf('OVERLOADED', 'As many transactions are in flight as this coordinator takes; send it again later.'),
  PARTICIPANT_OVERLOADED: bodyOf('PARTICIPANT_OVERLOADED', 'Every participant has as much as it gets through at the moment; send it again later.'),
};

/**
 * While nothing could be taken anyway, a request is sent away before its body is read, its token looked up and its fields checked: whoever
 * has too much to do must not spend its time on refusals. One with an idempotency key is looked at all the same, because it may repeat a
 * request that was taken.
 */
export function shedEarly(app: NestFastifyApplication, shed: () => OverloadCode | null): void {
  app.getHttpAdapter().getInstance().addHook('onRequest', (request, reply, next) => {
    const mayShed = request.method === 'POST' && request.routeOptions.url === ROUTE && request.headers['idempotency-key'] === undefined;
    const code = mayShed ? shed() : null;
    if (code === null) return next();
    void reply.status(429).header('retry-after', '1').type(PROBLEM_MEDIA_TYPE).send(BODIES[code]);
  });
}

function bodyOf(code: OverloadCode, detail: string): Buffer {
  return Buffer.from(JSON.stringify(problemOf(429, code, detail)));
}
