import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { FastifyInstance } from 'fastify';

/** Swagger UI comes with @nestjs/swagger. */
const uiRequire = createRequire(createRequire(import.meta.url).resolve('@nestjs/swagger'));
const ASSETS: Readonly<Record<string, string>> = { 'swagger-ui.css': 'text/css', 'swagger-ui-bundle.js': 'text/javascript', 'favicon-32x32.png': 'image/png' };

const PAGE = (title: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title><link rel="icon" href="docs/favicon-32x32.png"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="ui"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body>
</html>
`;
const START = `SwaggerUIBundle({ url: 'docs-json', dom_id: '#ui', deepLinking: true });\n`;

/** Serves Swagger UI at /docs. SwaggerModule's own page needs @fastify/static, whose dependencies Jest cannot load under Node 22. */
export function serveDocsPage(fastify: FastifyInstance, title: string): void {
  fastify.get('/docs', (_request, reply) => {
    void reply.type('text/html; charset=utf-8').header('content-security-policy', "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'").send(PAGE(title));
  });
  fastify.get('/docs/start.js', (_request, reply) => { void reply.type('text/javascript').send(START); });
  for (const [name, type] of Object.entries(ASSETS)) {
    fastify.get(`/docs/${name}`, async (_request, reply) => reply.type(type).header('cache-control', 'max-age=86400').send(await readFile(uiRequire.resolve(`swagger-ui-dist/${name}`))));
  }
}
