import net from 'node:net';

/** The preferred port when it is free, else any free one that is not in `taken`. */
export async function choosePort(preferred: number | undefined, taken: readonly number[] = []): Promise<number> {
  if (preferred !== undefined && !taken.includes(preferred) && (await isPortFree(preferred, '127.0.0.1'))) return preferred;
  for (;;) {
    const port = await anyFreePort();
    if (!taken.includes(port)) return port;
  }
}

export async function isPortFree(port: number, host: string): Promise<boolean> {
  return (await tryListen(port, host)).ok;
}

/** Whether one could listen there, and if not the system's error code. */
export function tryListen(port: number, host: string): Promise<{ readonly ok: true; readonly port: number } | { readonly ok: false; readonly code: string }> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve({ ok: false, code: error.code ?? 'UNKNOWN' }));
    server.listen(port, host, () => {
      const bound = (server.address() as net.AddressInfo).port;
      server.close(() => resolve({ ok: true, port: bound }));
    });
  });
}

async function anyFreePort(): Promise<number> {
  const result = await tryListen(0, '127.0.0.1');
  if (!result.ok) throw new Error(`no port to be had on 127.0.0.1: ${result.code}`);
  return result.port;
}
