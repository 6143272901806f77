import fs from 'node:fs';

const TICKS_PER_SECOND = 100;

/**
 * CPU seconds so far of each watched process together with its children, by name; empty where there is no /proc.
 * @param watched name to pid; `load` is this process
 */
export function cpuSeconds(watched: ReadonlyMap<string, number>): Record<string, number> {
  if (!fs.existsSync('/proc/self/stat')) return {};
  const children = childrenByParent();
  return Object.fromEntries([...watched].map(([name, pid]) => [name, treeTicks(pid, children) / TICKS_PER_SECOND]));
}

function treeTicks(pid: number, children: ReadonlyMap<number, number[]>): number {
  const stat = readStat(pid);
  if (stat === null) return 0;
  return stat.ticks + (children.get(pid) ?? []).reduce((sum, child) => sum + treeTicks(child, children), 0);
}

function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const name of fs.readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : null;
    if (stat !== null) children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(name)]);
  }
  return children;
}

/** proc(5): after the parenthesised name come state, ppid, ..., utime (14th field), stime, cutime, cstime. */
function readStat(pid: number): { parent: number; ticks: number } | null {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number);
    return { parent: fields[1]!, ticks: fields[11]! + fields[12]! + fields[13]! + fields[14]! };
  } catch {
    return null;
  }
}
