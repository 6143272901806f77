import http from 'node:http';
import net from 'node:net';
import { Body, Controller, Get, HttpException, Inject, Injectable, Module, Post } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Type } from 'class-transformer';
import { IsInt, IsString, ValidateNested } from 'class-validator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pino } from 'pino';
import { UnavailableError } from '#libs/runtime';
import { Public, Role } from './auth.guard.js';
import { ConfigError } from './config-error.js';
import { Direct } from './direct.js';
import { HealthRegistry } from './health.js';
import { checkAddress, createHttpApp, listenHttp } from './http-app.js';
import { setupOpenApi } from './openapi.js';
import { ProblemException } from './problem.js';

let slowAsked = (): void => undefined;
let slowGate: Promise<void> = Promise.resolve();

class PayloadDto {
  @IsInt()
  amountCents: number;
}
class BranchDto {
  @IsString()
  participant: string;
  @ValidateNested()
  @Type(() => PayloadDto)
  payload: PayloadDto;
}
class RequestDto {
  @ValidateNested({ each: true })
  @Type(() => BranchDto)
  branches: BranchDto[];
}

@Injectable()
class Store {
  readonly name = 'store';
}

@Controller('direct')
class DirectController {
  constructor(@Inject(Store) private readonly store: Store) {}

  @Direct('submit')
  @Post('things/:id')
  async run(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { fail } = request.body as { fail?: string };
    await Promise.resolve();
    if (fail === 'busy') throw new UnavailableError('OVERLOADED', 'too many transactions in flight', 1_200);
    if (fail === 'crash') throw new Error('the password is marlin');
    void reply.status(201).send({ by: this.store.name, id: (request.params as { id: string }).id });
  }
}

@Controller('things')
class ThingsController {
  @Role('submit')
  @Post()
  create(@Body() body: RequestDto): RequestDto {
    return body;
  }

  @Role('submit')
  @Post('all::batch')
  batch(): { readonly batch: true } {
    return { batch: true };
  }

  @Role('read')
  @Get()
  list(): { readonly things: readonly string[] } {
    return { things: ['a'] };
  }

  @Get('undeclared')
  undeclared(): { readonly secret: true } {
    return { secret: true };
  }

  @Public()
  @Get('slow')
  async slow(): Promise<{ readonly slow: true }> {
    slowAsked();
    await slowGate;
    return { slow: true };
  }

  @Public()
  @Get('crash')
  crash(): never {
    throw new Error('the password is swordfish');
  }

  @Public()
  @Get('busy')
  busy(): never {
    throw new UnavailableError('OVERLOADED', 'too many transactions in flight', 1_200);
  }

  @Public()
  @Get('down')
  down(): never {
    throw new UnavailableError('STORE_UNAVAILABLE', 'the database is away', 300);
  }

  @Public()
  @Get('gone')
  gone(): never {
    throw new ProblemException(404, 'UNKNOWN_THING', 'There is no such thing.');
  }

  @Public()
  @Get('teapot')
  teapot(): never {
    throw new HttpException('short and stout', 418);
  }
}

@Module({ controllers: [ThingsController, DirectController], providers: [Store] })
class ThingsModule {}

const tokens = { submit: 'submit-submit-submit', read: 'read-read-read-read', operate: 'operate-operate-operate' };
let app: NestFastifyApplication;
let url: string;
const logged: Record<string, unknown>[] = [];

beforeAll(async () => {
  const logger = pino({ level: 'error' }, { write: (line: string) => { logged.push(JSON.parse(line)); } });
  app = await createHttpApp(ThingsModule, { name: 'things', bodyLimitBytes: 1000, routeBodyLimits: { '/things/all::batch': 5000 }, auth: { mode: 'tokens', tokens }, logger });
  setupOpenApi(app, { title: 'Things', description: 'Things', version: '1' });
  url = await listenHttp(app, { host: '127.0.0.1', port: 0, portVariable: 'THINGS_PORT' });
});
afterAll(() => app.close());

interface Answer { status: number; headers: Headers; body: any }
async function call(method: string, path: string, options: { body?: string; headers?: Record<string, string>; token?: string } = {}): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: { ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }), ...(options.body === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers },
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text };
}
const submit = (body: string, headers: Record<string, string> = {}): Promise<Answer> => call('POST', '/things', { body, headers, token: tokens.submit });

function expectProblem(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, type: answer.headers.get('content-type'), code: answer.body.code, member: answer.body.status }).toEqual({ status, type: 'application/problem+json', code, member: status });
  expect(answer.body.type).toBe(`urn:concordat:problem:${code.toLowerCase().replaceAll('_', '-')}`);
  expect(answer.body.detail.length).toBeGreaterThan(5);
}

describe('bodies', () => {
  it('accepts what is valid', async () => {
    const body = { branches: [{ participant: 'a', payload: { amountCents: 1 } }] };
    expect((await submit(JSON.stringify(body))).body).toEqual(body);
  });

  it('names every wrong and unknown field by its path', async () => {
    const answer = await submit(JSON.stringify({ branches: [{ participant: 'a', payload: { amountCents: 1 } }, { participant: 7, payload: { amountCents: 'x', tip: 1 } }], extra: 1 }));
    expectProblem(answer, 400, 'VALIDATION_FAILED');
    expect(answer.body.errors.map((e: any) => e.path).sort()).toEqual(['branches[1].participant', 'branches[1].payload.amountCents', 'branches[1].payload.tip', 'extra']);
  });

  it.each(['[]', 'null', '"text"', '7'])('refuses %s, which is no object', async (body) => {
    expectProblem(await submit(body), 400, 'VALIDATION_FAILED');
  });

  it.each(['{"branches": ', '', '{"__proto__": {"admin": true}}'])('refuses malformed JSON %j', async (body) => {
    expectProblem(await submit(body), 400, 'MALFORMED_JSON');
  });

  it('takes a larger body where the route allows it', async () => {
    expect((await call('POST', '/things/all:batch', { body: JSON.stringify({ text: 'x'.repeat(2_000) }), token: tokens.submit })).body).toEqual({ batch: true });
    expectProblem(await call('POST', '/things/all:batch', { body: JSON.stringify({ text: 'x'.repeat(6_000) }), token: tokens.submit }), 413, 'BODY_TOO_LARGE');
  });

  it('refuses another media type with 415, and a body over the limit with 413', async () => {
    expectProblem(await submit('a=1', { 'content-type': 'application/x-www-form-urlencoded' }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    expectProblem(await submit('hello', { 'content-type': 'text/plain' }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    expectProblem(await submit(JSON.stringify({ branches: 'x'.repeat(1000) })), 413, 'BODY_TOO_LARGE');
  });
});

describe('routes', () => {
  it('answers 404 for a path that is not there, 405 with Allow for another method', async () => {
    expectProblem(await call('GET', '/nothing'), 404, 'NOT_FOUND');
    const answer = await call('DELETE', '/things?x=1');
    expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
    expect(answer.headers.get('allow')).toBe('GET, HEAD, POST');
  });

  it('takes a path with a colon, and documents it so', async () => {
    expect((await call('POST', '/things/all:batch', { token: tokens.submit })).body).toEqual({ batch: true });
    expectProblem(await call('POST', '/things/allbatch', { token: tokens.submit }), 404, 'NOT_FOUND');
    const { body } = await call('GET', '/docs-json');
    expect(Object.keys(body.paths)).toEqual(expect.arrayContaining(['/things/all:batch', '/health/ready', '/metrics']));
    expect(body.components.schemas.ProblemDto.properties).toHaveProperty('code');
    expect((await call('GET', '/docs')).status).toBe(200);
  });

  it('answers a malformed URL and bytes that are no HTTP with a problem', async () => {
    expectProblem(await call('GET', '/things/%E0%A4%A'), 400, 'BAD_REQUEST');
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = net.connect(Number(new URL(url).port), '127.0.0.1', () => socket.write('HELLO\r\n\r\n'));
      socket.on('data', (bytes) => { text += bytes.toString(); }).on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 400/);
    expect(answer).toContain('application/problem+json');
  });
});

describe('errors', () => {
  it('answers the unexpected with 500 without telling it, and logs it', async () => {
    const answer = await call('GET', '/things/crash');
    expectProblem(answer, 500, 'INTERNAL');
    expect(JSON.stringify(answer.body)).not.toContain('swordfish');
    expect(JSON.stringify(logged)).toContain('swordfish');
  });

  it('answers an unavailable coordinator with 429 or 503 and whole seconds to wait', async () => {
    const busy = await call('GET', '/things/busy');
    expectProblem(busy, 429, 'OVERLOADED');
    expect(busy.headers.get('retry-after')).toBe('2');
    const down = await call('GET', '/things/down');
    expectProblem(down, 503, 'STORE_UNAVAILABLE');
    expect(down.headers.get('retry-after')).toBe('1');
  });

  it('keeps the code of a problem and the status of a Nest exception', async () => {
    expectProblem(await call('GET', '/things/gone'), 404, 'UNKNOWN_THING');
    expectProblem(await call('GET', '/things/teapot'), 418, 'HTTP_418');
  });
});

describe('authentication', () => {
  it('is documented with what it refuses, and only where it is asked for', async () => {
    const { body } = await call('GET', '/docs-json');
    expect(body.paths['/things'].post.responses).toMatchObject({ 401: expect.anything(), 403: { description: expect.stringContaining('role submit') } });
    expect(body.paths['/things'].get.responses).toMatchObject({ 401: expect.anything(), 403: { description: expect.stringContaining('role read') } });
    expect(body.paths['/things/slow'].get.responses).not.toHaveProperty('401');
  });

  it('refuses no token and a wrong one with 401 and a challenge', async () => {
    const none = await call('GET', '/things');
    expectProblem(none, 401, 'UNAUTHENTICATED');
    expect(none.headers.get('www-authenticate')).toBe('Bearer realm="concordat"');
    const wrong = await call('GET', '/things', { token: `${tokens.read}x` });
    expectProblem(wrong, 401, 'UNAUTHENTICATED');
    expect(wrong.headers.get('www-authenticate')).toContain('invalid_token');
    expectProblem(await call('GET', '/things', { headers: { authorization: `Basic ${tokens.read}` } }), 401, 'UNAUTHENTICATED');
  });

  it('keeps roles apart, and operate includes them', async () => {
    expect((await call('GET', '/things', { token: tokens.read })).status).toBe(200);
    expectProblem(await call('GET', '/things', { token: tokens.submit }), 403, 'FORBIDDEN');
    expect((await call('GET', '/things', { token: tokens.operate })).status).toBe(200);
  });

  it('gives a route that declares no role to operate alone', async () => {
    expectProblem(await call('GET', '/things/undeclared', { token: tokens.read }), 403, 'FORBIDDEN');
    expect((await call('GET', '/things/undeclared', { token: tokens.operate })).status).toBe(200);
  });
});

describe('a direct route', () => {
  const run = (body: object, token?: string): Promise<Answer> => call('POST', '/direct/things/7', { body: JSON.stringify(body), ...(token === undefined ? {} : { token }) });

  it('calls the method of the controller with request and reply', async () => {
    const { status, body } = await run({}, tokens.submit);
    expect([status, body]).toEqual([201, { by: 'store', id: '7' }]);
  });

  it('needs its role as any other', async () => {
    const none = await run({});
    expectProblem(none, 401, 'UNAUTHENTICATED');
    expect(none.headers.get('www-authenticate')).toBe('Bearer realm="concordat"');
    expectProblem(await run({}, tokens.read), 403, 'FORBIDDEN');
    expect((await run({}, tokens.operate)).status).toBe(201);
  });

  it('answers its errors with problems', async () => {
    const busy = await run({ fail: 'busy' }, tokens.submit);
    expectProblem(busy, 429, 'OVERLOADED');
    expect(busy.headers.get('retry-after')).toBe('2');
    const crash = await run({ fail: 'crash' }, tokens.submit);
    expectProblem(crash, 500, 'INTERNAL');
    expect(JSON.stringify(crash.body)).not.toContain('marlin');
    expect(JSON.stringify(logged)).toContain('marlin');
    expectProblem(await call('POST', '/direct/things/7', { body: '{"fail": ', token: tokens.submit }), 400, 'MALFORMED_JSON');
    expectProblem(await call('GET', '/direct/things/7', { token: tokens.submit }), 405, 'METHOD_NOT_ALLOWED');
  });

  it('is documented with what it refuses', async () => {
    const { body } = await call('GET', '/docs-json');
    expect(body.paths['/direct/things/{id}'].post.responses).toMatchObject({ 401: expect.anything(), 403: { description: expect.stringContaining('role submit') } });
  });

  it('is open where everything is', async () => {
    const open = await createHttpApp(ThingsModule, { name: 'open', auth: 'public', logger: pino({ level: 'silent' }) });
    const at = await listenHttp(open, { host: '127.0.0.1', port: 0, portVariable: 'THINGS_PORT' });
    expect((await fetch(`${at}/direct/things/7`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })).status).toBe(201);
    await open.close();
  });
});

describe('health and metrics', () => {
  it('gives metrics to the local machine, but not through a proxy without a token', async () => {
    expect((await call('GET', '/metrics')).body).toContain('process_cpu_seconds_total');
    expectProblem(await call('GET', '/metrics', { headers: { 'x-forwarded-for': '10.0.0.1' } }), 401, 'UNAUTHENTICATED');
    expect((await call('GET', '/metrics', { headers: { 'x-forwarded-for': '10.0.0.1' }, token: tokens.read })).status).toBe(200);
  });

  it('looks at the event loop ten times a second, not more often: each look wakes up a process that rests', async () => {
    await new Promise((resolve) => setTimeout(resolve, 350));
    const { body } = await call('GET', '/metrics');
    const lookedEverySeconds = Number(/^nodejs_eventloop_lag_min_seconds (\S+)$/m.exec(body)?.[1]);
    expect(lookedEverySeconds).toBeGreaterThan(0.05);
    expect(lookedEverySeconds).toBeLessThan(1);
  });

  it('is ready only while every check passes', async () => {
    expect((await call('GET', '/health/live')).status).toBe(200);
    let up = true;
    app.get(HealthRegistry).register('database', () => { if (!up) throw new Error('away'); return { ok: true }; });
    expect((await call('GET', '/health/ready')).body).toEqual({ status: 'ready', checks: { database: { ok: true } } });
    up = false;
    const answer = await call('GET', '/health/ready');
    expect([answer.status, answer.body.status, answer.body.checks.database.ok]).toEqual([503, 'not-ready', false]);
  });
});

it('a port in use stops the start with one line that names the variable', async () => {
  const port = Number(new URL(url).port);
  const second = await createHttpApp(ThingsModule, { name: 'second', auth: 'public', logger: pino({ level: 'silent' }) });
  const error = await listenHttp(second, { host: '127.0.0.1', port, portVariable: 'THINGS_PORT' }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as Error).message).toBe(`THINGS_PORT ${port} is in use on 127.0.0.1; set THINGS_PORT to a free port, or stop what uses it`);
  await second.close();
  await expect(checkAddress({ host: '127.0.0.1', port, portVariable: 'THINGS_PORT' })).rejects.toThrow(`THINGS_PORT ${port} is in use`);
});

it('an address is tried before anything else is, and left free', async () => {
  const free = { host: '127.0.0.1', port: 0, portVariable: 'THINGS_PORT' };
  await checkAddress(free);
  await expect(checkAddress({ ...free, host: '192.0.2.1' })).rejects.toThrow('HOST got "192.0.2.1"');
  await expect(checkAddress({ ...free, host: 'no.such.host.invalid' })).rejects.toThrow('HOST got "no.such.host.invalid"');
});

it('closing answers what is under way, and does not wait for kept-alive connections', async () => {
  const closing = await createHttpApp(ThingsModule, { name: 'closing', auth: 'public', logger: pino({ level: 'silent' }) });
  const at = await listenHttp(closing, { host: '127.0.0.1', port: 0, portVariable: 'THINGS_PORT' });
  let open = (): void => undefined;
  slowGate = new Promise((resolve) => { open = resolve; });
  const asked = new Promise<void>((resolve) => { slowAsked = resolve; });
  const agent = new http.Agent({ keepAlive: true });
  const answer = new Promise<number | undefined>((resolve, reject) => {
    http.get(`${at}/things/slow`, { agent }, (response) => { response.resume().on('end', () => resolve(response.statusCode)); }).on('error', reject);
  });
  await asked;
  const closed = closing.close();
  open();
  expect(await answer).toBe(200);
  await closed;
  agent.destroy();
}, 5_000);
