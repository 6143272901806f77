import fs from 'node:fs';
import path from 'node:path';

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface TreeUse {
  /** Of the process and all below it, those that have ended included. */
  readonly cpuSeconds: number;
  /** Resident; pages that several processes of the tree may share count once (of the process that has most of them). */
  readonly rssMb: number;
}

interface Entry {
  readonly parent: number;
  readonly ticks: number;
}

/**
 * CPU and memory of processes, each with everything below it. Who has ended, and everybody where there is no /proc, is left out.
 * @param watched name to pid
 */
export function useOf(watched: ReadonlyMap<string, number>, proc = '/proc'): ReadonlyMap<string, TreeUse> {
  const entries = readAll(proc);
  const children = Map.groupBy(entries.keys(), (pid) => entries.get(pid)!.parent);
  const treeOf = (pid: number): readonly number[] => [pid, ...(children.get(pid) ?? []).flatMap(treeOf)];
  return new Map([...watched].flatMap(([name, pid]) => {
    if (!entries.has(pid)) return [];
    const tree = treeOf(pid);
    const memory = tree.map((member) => memoryOf(member, proc));
    const kilobytes = memory.reduce((sum, { own }) => sum + own, 0) + Math.max(...memory.map(({ shared }) => shared));
    return [[name, { cpuSeconds: tree.reduce((sum, member) => sum + entries.get(member)!.ticks, 0) / TICKS_PER_SECOND, rssMb: kilobytes / 1024 }] as const];
  }));
}

function readAll(proc: string): ReadonlyMap<number, Entry> {
  if (!fs.existsSync(proc)) return new Map();
  return new Map(fs.readdirSync(proc).flatMap((name) => {
    const entry = /^\d+$/.test(name) ? entryOf(path.join(proc, name, 'stat')) : null;
    return entry === null ? [] : [[Number(name), entry] as const];
  }));
}

/** proc(5): after the parenthesised name come state, ppid, ..., utime (14th field), stime, cutime, cstime. */
function entryOf(file: string): Entry | null {
  const text = read(file);
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number);
  return { parent: fields[1]!, ticks: fields[11]! + fields[12]! + fields[13]! + fields[14]! };
}

/** Kilobytes. Files and shared memory are mapped by many; Postgres's buffers would count once for each connection. */
function memoryOf(pid: number, proc: string): { readonly own: number; readonly shared: number } {
  const status = read(path.join(proc, String(pid), 'status')) ?? '';
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
  return { own: kilobytes('RssAnon'), shared: kilobytes('RssFile') + kilobytes('RssShmem') };
}

function read(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    // It has ended since it was listed.
    return null;
  }
}
