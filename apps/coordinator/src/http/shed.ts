import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { OverloadCode } from '#libs/runtime';
import { isObject, PROBLEM_MEDIA_TYPE, problemOf } from '#libs/service';

const ROUTE = '/v1/transactions';
const BODIES: Readonly<Record<OverloadCode, Buffer>> = {
  OVERLOADED: bodyOf('OVERLOADED', 'As many transactions are in flight as this coordinator takes; send it again later.'),
  PARTICIPANT_OVERLOADED: bodyOf('PARTICIPANT_OVERLOADED', 'A participant that it names has as much as it gets through at the moment; send it again later.'),
};

/**
 * Sends away what would be refused anyway before its token is looked up and its fields are checked: whoever has too much to do must not
 * spend its time on refusals. A request with an idempotency key is looked at all the same, because it may repeat one that was taken.
 */
export function shedEarly(app: NestFastifyApplication, overload: (participants: readonly string[]) => OverloadCode | null): void {
  app.getHttpAdapter().getInstance().addHook('preValidation', (request, reply, next) => {
    const mayShed = request.method === 'POST' && request.routeOptions.url === ROUTE && request.headers['idempotency-key'] === undefined;
    const code = mayShed ? overload(namesIn(request.body)) : null;
    if (code === null) return next();
    void reply.status(429).header('retry-after', '1').type(PROBLEM_MEDIA_TYPE).send(BODIES[code]);
  });
}

/** Of a body that nobody has checked. */
function namesIn(body: unknown): readonly string[] {
  if (!isObject(body)) return [];
  const parts: unknown = body['branches'] ?? body['steps'];
  return Array.isArray(parts) ? parts.flatMap((part: unknown) => (isObject(part) && typeof part['participant'] === 'string' ? part['participant'] : [])) : [];
}

function bodyOf(code: OverloadCode, detail: string): Buffer {
  return Buffer.from(JSON.stringify(problemOf(429, code, detail)));
}
