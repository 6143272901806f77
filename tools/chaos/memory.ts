import fs from 'node:fs';

/** Resident megabytes of a process; null where it is not there, or where there is no /proc. */
export function residentMegabytes(pid: number): number | null {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) / 1024;
  } catch {
    return null;
  }
}

export interface MemorySample {
  readonly atMs: number;
  readonly megabytes: Readonly<Record<string, number>>;
}

/** Of all that run now, by name. */
export function sampleMemory(atMs: number, pids: ReadonlyMap<string, number | null>): MemorySample {
  return { atMs, megabytes: Object.fromEntries([...pids].flatMap(([name, pid]) => { const mb = pid === null ? null : residentMegabytes(pid); return mb === null ? [] : [[name, Math.round(mb * 10) / 10]]; })) };
}
