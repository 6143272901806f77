import { expect } from '@jest/globals';

/** The answer is a problem of RFC 9457. */
export function expectProblem(response: { status: number; headers: Headers; body: any }, status: number, code?: string): void {
  expect({ status: response.status, type: response.headers.get('content-type')?.split(';')[0] }).toEqual({ status, type: 'application/problem+json' });
  expect(response.body).toMatchObject({ status, code: code ?? expect.any(String), title: expect.any(String) });
}

/** The fields that a problem names. */
export const paths = (response: { body: any }): string[] => (response.body.errors ?? []).map((e: { path: string }) => e.path);
