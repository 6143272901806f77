import fs from 'node:fs';

export default async () => {
  const { stack, dataDir } = globalThis.concordatStack ?? {};
  await stack?.stop();
  if (dataDir !== undefined) fs.rmSync(dataDir, { recursive: true, force: true });
};
