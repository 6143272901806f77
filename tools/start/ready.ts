import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from '../stack/setup-error.ts';
import type { Coordinator } from './demonstration.ts';
import { type Service, SERVICES, type Settings, urlOf } from './settings.ts';

const LIMIT_MS = 120_000;

/** Resolves when every service says that it is ready. @throws SetupError SERVICE_FAILED naming those that are not after two minutes */
export async function servicesReady(settings: Settings): Promise<void> {
  let missing: Readonly<Partial<Record<Service, string>>> = {};
  for (const deadline = Date.now() + LIMIT_MS; Date.now() < deadline; await sleep(100)) {
    const problems = await Promise.all(SERVICES.map(async (service) => [service, await problemOf(urlOf(settings, service))] as const));
    missing = Object.fromEntries(problems.filter(([, problem]) => problem !== null));
    if (Object.keys(missing).length === 0) return;
  }
  throw new SetupError('SERVICE_FAILED', `not ready after ${LIMIT_MS / 1000} s: ${Object.entries(missing).map(([name, problem]) => `${name} (${problem})`).join(', ')}`);
}

/** Participants announce themselves to the coordinator through the transport; before that it refuses work for them. */
export async function participantsKnown({ url, readToken }: Coordinator, names: readonly string[]): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(100)) {
    const response = await fetch(`${url}/v1/participants`, { headers: readToken === null ? {} : { authorization: `Bearer ${readToken}` } });
    const body = await response.text();
    if (response.ok && names.every((name) => body.includes(`"${name}"`))) return;
  }
  throw new SetupError('SERVICE_FAILED', `not all of ${names.join(', ')} announced themselves to the coordinator within 60 s`);
}

/** What `/health/ready` says is missing; null when it is ready. */
export async function problemOf(url: string, limitMs = 5_000): Promise<string | null> {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(limitMs) });
    return response.ok ? null : (await response.text()).slice(0, 300);
  } catch (error) {
    return `no answer at ${url}: ${((error as Error).cause as Error | undefined)?.message ?? (error as Error).message}`;
  }
}
