import { describe, expect, it } from '@jest/globals';
import { LineReader } from './line-reader.js';

const TEXT = '{"a":"é"}\n{"b":"🚀"}\n\n{"c":3}\nunfinished';
const LINES = ['{"a":"é"}', '{"b":"🚀"}', '{"c":3}'];

function linesOf(chunks: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const reader = new LineReader((line) => lines.push(line));
  for (const chunk of chunks) expect(reader.push(chunk)).toBe(true);
  return lines;
}

describe('a line reader', () => {
  it('gives the same lines wherever the stream is cut, inside of characters too', () => {
    const bytes = Buffer.from(TEXT);
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b++) expect(linesOf([bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)])).toEqual(LINES);
    }
  });

  it('gives the same lines byte by byte', () => {
    expect(linesOf([...Buffer.from(TEXT)].map((byte) => Buffer.of(byte)))).toEqual(LINES);
  });

  it('refuses a line without end, however it comes', () => {
    const reader = new LineReader(() => undefined, 10);
    expect([reader.push(Buffer.from('123456')), reader.push(Buffer.from('7890')), reader.push(Buffer.from('1'))]).toEqual([true, true, false]);
  });

  it('counts anew for each line', () => {
    const reader = new LineReader(() => undefined, 10);
    for (let i = 0; i < 5; i++) expect(reader.push(Buffer.from('56789\n1234'))).toBe(true);
  });
});
