const COLOURS = [36, 33, 35, 32, 34, 31];

/** Prefixes lines with the name of who wrote them; in colour on a terminal. */
export class LogLines {
  private readonly colours = new Map<string, number>();
  private readonly out: NodeJS.WriteStream;

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.out = out;
  }

  write(name: string, line: string): void {
    this.out.write(`${this.paint(name, name.padEnd(11))} | ${line}\n`);
  }

  /** A consumer of chunks of a service's output; incomplete lines wait for their end. */
  splitter(name: string): (chunk: string) => void {
    let rest = '';
    return (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line.trim() !== '') this.write(name, readable(line));
    };
  }

  private paint(name: string, text: string): string {
    if (!this.out.isTTY) return text;
    if (!this.colours.has(name)) this.colours.set(name, COLOURS[this.colours.size % COLOURS.length]!);
    return `\u001b[${this.colours.get(name)}m${text}\u001b[0m`;
  }
}

const HIDDEN = new Set(['level', 'time', 'pid', 'hostname', 'name', 'instance', 'msg', 'err']);

/** The services write JSON lines for machines: time, level, message and the remaining fields, for people. Other lines stay as they are. */
export function readable(line: string): string {
  const entry = parse(line);
  if (entry === null) return line;
  const time = typeof entry.time === 'string' ? entry.time.slice(11, 23) : '';
  const fields = Object.entries(entry).filter(([key, value]) => !HIDDEN.has(key) && value !== undefined).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const error = entry.err as { message?: string; stack?: string } | undefined;
  return [time, entry.level === 'info' ? '' : entry.level, entry.msg, error?.message, ...fields].filter((part) => part !== '' && part !== undefined).join(' ');
}

function parse(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    const value = JSON.parse(line) as Record<string, unknown>;
    return typeof value.level === 'string' && 'time' in value ? value : null;
  } catch {
    return null;
  }
}
