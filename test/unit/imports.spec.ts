import { describe, expect, it } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';

// Who may import whom. Directions are what keeps the protocol provable and the drivers replaceable; see docs/architecture.md.

/** For each lib the other libs that it may import. `type:` allows types only. */
const LIBS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  runtime: ['protocol'],
  simulator: ['protocol', 'runtime'],
  postgres: ['protocol', 'runtime'],
  kafka: ['protocol', 'runtime'],
  service: ['protocol', 'runtime'],
  participant: ['protocol', 'runtime', 'postgres', 'kafka', 'service'],
  client: ['type:protocol'],
  shop: ['protocol', 'participant', 'service'],
};

/** Packages that only some parts may import, by path prefix. */
const RESERVED: readonly { readonly packages: RegExp; readonly parts: readonly string[] }[] = [
  { packages: /^pg$/, parts: ['libs/postgres/'] },
  { packages: /^(kafkajs|@platformatic\/kafka)$/, parts: ['libs/kafka/'] },
  { packages: /^undici$/, parts: ['libs/client/', 'apps/'] },
  { packages: /^(typeorm|@nestjs\/typeorm)$/, parts: ['libs/postgres/', 'libs/participant/', 'libs/shop/', 'migrations/', 'tools/', 'apps/'] },
];

/** A pure machine takes time and chance as arguments, and does no input or output. */
const IMPURE = /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|process\.|setTimeout|setInterval|setImmediate|queueMicrotask|crypto\.|fetch\(|console\.)/;

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const files = ['apps', 'libs', 'migrations'].flatMap((root) => sourcesIn(root));
const imports = files.flatMap((file) => importsOf(file));

function sourcesIn(root: string): string[] {
  return fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !name.includes('node_modules')).map((name) => path.join(root, name)).sort();
}

const isTest = (file: string): boolean => file.endsWith('.spec.ts') || /^libs\/[^/]+\/test\//.test(file);

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1');
}

function importsOf(file: string): Import[] {
  const text = withoutComments(fs.readFileSync(file, 'utf8'));
  const statements = /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|import\(\s*'([^']+)'\s*\)/gm;
  return [...text.matchAll(statements)].map((match) => ({ file, specifier: (match[2] ?? match[3])!, typeOnly: match[1] !== undefined }));
}

const libOf = (file: string): string | undefined => /^libs\/([^/]+)\//.exec(file)?.[1];
const libNamed = (specifier: string): string | undefined => /^#libs\/([^/]+)/.exec(specifier)?.[1];
const describeImport = ({ file, specifier }: Import): string => `${file} imports ${specifier}`;

describe('the import directions', () => {
  it('know every lib', () => {
    expect(fs.readdirSync('libs').sort()).toEqual(Object.keys(LIBS).sort());
  });

  it('see the imports of the tree', () => {
    expect(imports.filter((i) => i.specifier === 'kafkajs' && !i.typeOnly).length).toBeGreaterThan(0);
    expect(imports.filter((i) => libNamed(i.specifier) === 'protocol').length).toBeGreaterThan(10);
  });

  it.each(Object.entries(LIBS))('libs/%s imports only the libs %j', (lib, allowed) => {
    const wrong = imports.filter((i) => libOf(i.file) === lib && !isTest(i.file)).filter((i) => {
      const other = libNamed(i.specifier);
      return other !== undefined && !allowed.includes(other) && !(i.typeOnly && allowed.includes(`type:${other}`));
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  it('inside a lib nobody goes through its own barrel', () => {
    const wrong = imports.filter((i) => {
      const lib = libOf(i.file);
      if (lib === undefined || isTest(i.file)) return false;
      return libNamed(i.specifier) === lib || (i.specifier.startsWith('.') && /^libs\/[^/]+\/src\/index\.[jt]s$/.test(path.join(path.dirname(i.file), i.specifier)));
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  it('no relative path leaves a lib, but to the migrations', () => {
    const wrong = imports.filter((i) => i.specifier.startsWith('.') && libOf(i.file) !== undefined).filter((i) => {
      const target = path.join(path.dirname(i.file), i.specifier);
      return !target.startsWith(`libs/${libOf(i.file)}/`) && !target.startsWith('migrations/') && !(isTest(i.file) && target.startsWith('test/'));
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  it('libs do not import apps, and only the standalone app imports other apps', () => {
    const wrong = imports.filter((i) => {
      const target = i.specifier.startsWith('.') ? path.join(path.dirname(i.file), i.specifier) : i.specifier;
      if (!target.startsWith('apps/')) return false;
      return !target.startsWith(`${i.file.split('/').slice(0, 2).join('/')}/`) && !i.file.startsWith('apps/standalone/');
    });
    expect(wrong.map(describeImport)).toEqual([]);
  });

  it.each(RESERVED.map(({ packages, parts }) => [packages.source, packages, parts] as const))('%s is imported only where it belongs', (_name, packages, parts) => {
    expect(imports.filter((i) => packages.test(i.specifier) && !isTest(i.file) && !parts.some((part) => i.file.startsWith(part))).map(describeImport)).toEqual([]);
  });
});

describe('libs/protocol', () => {
  const sources = files.filter((file) => libOf(file) === 'protocol' && !isTest(file));

  it('imports nothing but itself', () => {
    expect(sources.length).toBeGreaterThan(5);
    expect(imports.filter((i) => sources.includes(i.file) && !i.specifier.startsWith('./') && !i.specifier.startsWith('../')).map(describeImport)).toEqual([]);
  });

  it('has no clock, no randomness and no input or output', () => {
    const found = sources.flatMap((file) => withoutComments(fs.readFileSync(file, 'utf8')).split('\n').filter((line) => IMPURE.test(line)).map((line) => `${file}: ${line.trim()}`));
    expect(found).toEqual([]);
  });
});
