import process from 'node:process';

/** Collects promise rejections that nobody handles: a driver that makes one would end its process. */
export function watchRejections(): { readonly errors: readonly unknown[]; close(): void } {
  const errors: unknown[] = [];
  const hear = (error: unknown): void => void errors.push(error);
  process.on('unhandledRejection', hear);
  return { errors, close: () => void process.off('unhandledRejection', hear) };
}
