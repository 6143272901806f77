import fc from 'fast-check';

/** Values that are nearly right somewhere. */
const NASTY: readonly unknown[] = [
  null, true, false, 0, -1, 0.5, -0, 1, 2, 99, 100, 9_999, 10_000, 10_001, 1e9, 1e9 + 1, 2 ** 53, 1e300, '', 'x', '0', '\0', 'a\0b', '\ud800', '../etc', 'a b', 'x'.repeat(256), 'x'.repeat(70_000),
  [], {}, [null], [[]], ['payments', 'payments'], ['payments', 7], { n: 0, site: -1 }, { n: 1, site: 0 }, { n: 0, leader: 0 }, { n: 0, leader: 5 }, { n: -1, leader: 0 }, { role: 'leader' },
  { role: 'participant', name: 'x' }, { code: 7 }, { code: 'X', detail: 'x'.repeat(70_000) }, 'prepared', 'aborted', 'committed', 'yes', 'uncertain', '2pc', '3pc', 'paxos-commit', 'saga', 'constructor',
  '__proto__', 'PREPARE', 'VOTE', 'COMMIT', 'ABORT', 'ACK', 'REFUSED', 'INQUIRY', 'ANNOUNCE', JSON.parse(`${'['.repeat(101)}${']'.repeat(101)}`), JSON.parse('{"__proto__": 1, "constructor": 2}'),
];

type Container = Record<string | number, unknown>;

/** A copy in which one to three places, however deep, were replaced, removed, doubled or moved. */
export function mutated(original: unknown): fc.Arbitrary<unknown> {
  const edit = fc.record({ place: fc.nat(), how: fc.constantFrom('replace', 'replace', 'remove', 'add', 'nudge'), value: fc.oneof(fc.constantFrom(...NASTY), fc.jsonValue()), name: fc.constantFrom('protocol', 'colour', 'peers', 'reason', 'branch', 'ballot', '__proto__') });
  return fc.array(edit, { minLength: 1, maxLength: 3 }).map((edits) => {
    const root = { message: structuredClone(original) };
    for (const { place, how, value, name } of edits) {
      const places = placesIn(root);
      const { parent, key } = places[place % places.length]!;
      if (how === 'replace') parent[key] = structuredClone(value);
      else if (how === 'nudge') parent[key] = nudged(parent[key], place);
      else if (how === 'add') add(parent[key], name, structuredClone(value));
      else if (parent !== root) remove(parent, key);
    }
    return root.message;
  });
}

function placesIn(container: Container, found: { parent: Container; key: string | number }[] = []): { parent: Container; key: string | number }[] {
  for (const key of Object.keys(container)) {
    found.push({ parent: container, key });
    const child = container[key];
    if (typeof child === 'object' && child !== null && found.length < 200) placesIn(child as Container, found);
  }
  return found;
}

function nudged(value: unknown, by: number): unknown {
  if (typeof value === 'number') return value + (by % 2 === 0 ? 1 : -1);
  if (typeof value === 'string') return by % 2 === 0 ? value.slice(1) : `${value}\0`;
  return Array.isArray(value) ? [...value, ...value] : [value];
}

function add(target: unknown, name: string, value: unknown): void {
  if (Array.isArray(target)) target.push(value);
  else if (typeof target === 'object' && target !== null) Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}

function remove(parent: Container, key: string | number): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
}
