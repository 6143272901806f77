import { StringDecoder } from 'node:string_decoder';

/** Cuts chunks into lines of JSON, each parsed. A chunk may end anywhere, inside of a character too; what follows the last newline waits for more. */
export function jsonLines(onLine: (document: unknown) => void): (chunk: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return (chunk) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line !== '') onLine(JSON.parse(line));
  };
}
