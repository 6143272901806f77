import { Controller, Get, Headers, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '#libs/service';

const LINKS: Readonly<Record<string, string>> = {
  '/docs': 'the API, to read and to try',
  '/docs-json': 'the API as an OpenAPI document',
  '/health/live': 'whether the process runs',
  '/health/ready': 'whether it can take transactions, and what is missing',
  '/metrics': 'Prometheus metrics (from this machine, or with a token of role read)',
};

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Concordat coordinator</title></head>
<body>
<h1>Concordat coordinator</h1>
<p>Transactions are submitted with <code>POST /v1/transactions</code> and a bearer token; the start of the coordinator says where the tokens are.</p>
<ul>
${Object.entries(LINKS).map(([path, what]) => `<li><a href="${path}">${path}</a>: ${what}</li>`).join('\n')}
</ul>
</body>
</html>
`;

@ApiExcludeController()
@Public()
@Controller()
export class LandingController {
  @Get()
  landing(@Headers('accept') accept: string | undefined, @Res() reply: FastifyReply): void {
    if (accept?.includes('text/html') === true) void reply.type('text/html; charset=utf-8').header('content-security-policy', "default-src 'none'").send(PAGE);
    else void reply.send({ name: 'concordat-coordinator', links: LINKS });
  }
}
