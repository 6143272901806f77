import type { ServerResponse } from 'node:http';
import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { LineStream, wantsLines } from './line-stream.js';

class Response extends EventEmitter {
  readonly writes: string[] = [];
  readonly heads: unknown[] = [];
  ended = false;
  writeHead(status: number): void { this.heads.push(status); }
  flushHeaders(): void { this.heads.push('sent'); }
  write(text: string): void { this.writes.push(text); }
  end(text: string): void { this.writes.push(text); this.ended = true; }
}

let response: Response;
let lines: LineStream;
beforeEach(() => {
  response = new Response();
  lines = new LineStream(response as unknown as ServerResponse);
});

describe('a stream of lines', () => {
  it('sends its status before there is any line', () => {
    expect(response.heads).toEqual([200, 'sent']);
  });

  it('writes the lines of one turn of the event loop at once, and those of the next turn apart', async () => {
    lines.write('{"index":1}');
    await Promise.resolve();
    lines.write('{"index":0}');
    await nextTurn();
    lines.write('{"index":2}');
    await nextTurn();
    expect(response.writes).toEqual(['{"index":1}\n{"index":0}\n', '{"index":2}\n']);
  });

  it('ends with its last lines in the same write', async () => {
    lines.write('{"index":0}');
    lines.end();
    await nextTurn();
    expect([response.writes, response.ended]).toEqual([['{"index":0}\n'], true]);
  });

  it('is silent once the reader has gone', async () => {
    lines.write('{"index":0}');
    response.emit('close');
    lines.write('{"index":1}');
    await nextTurn();
    lines.end();
    expect([response.writes, response.ended]).toEqual([[], false]);
  });
});

describe('Accept', () => {
  it.each(['application/x-ndjson', 'application/json;q=0.5, Application/X-NDJSON; q=0.9'])('%s asks for lines', (accept) => {
    expect(wantsLines(accept)).toBe(true);
  });

  it.each([undefined, '', '*/*', 'application/json', 'application/x-ndjson;q=0', 'application/x-ndjson-other'])('%s asks for the ordinary answer', (accept) => {
    expect(wantsLines(accept)).toBe(false);
  });
});
