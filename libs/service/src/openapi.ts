import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiProperty, ApiResponse, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { applyDecorators } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { STATUS_CODES } from 'node:http';
import { serveDocsPage } from './docs-page.js';
import { PROBLEM_MEDIA_TYPE } from './problem.js';

export class FieldErrorDto {
  @ApiProperty({ type: String, example: 'branches[1].payload.amountCents', description: 'Empty for the whole body' })
  path: string;

  @ApiProperty({ type: String, example: 'must be integer' })
  message: string;

  @ApiProperty({ type: String, required: false, description: 'Stable, where one kind of refusal has several causes', example: 'COMPENSATABLE_AFTER_PIVOT' })
  code?: string;
}

export class ProblemDto {
  @ApiProperty({ type: String, format: 'uri', example: 'urn:concordat:problem:invalid-payload' })
  type: string;

  @ApiProperty({ type: String, example: 'Unprocessable Entity' })
  title: string;

  @ApiProperty({ type: Number, example: 422 })
  status: number;

  @ApiProperty({ type: String, description: 'For people: what was wrong and what to do' })
  detail: string;

  @ApiProperty({ type: String, example: 'INVALID_PAYLOAD', description: 'Stable' })
  code: string;

  @ApiProperty({ type: [FieldErrorDto], required: false })
  errors?: FieldErrorDto[];
}

/** Documents the problem answers of a route: `ApiProblems({ 409: 'The transaction has finished' })`. */
export function ApiProblems(problems: Readonly<Record<number, string>>): ClassDecorator & MethodDecorator {
  return applyDecorators(...Object.entries(problems).map(([status, what]) => ApiResponse({
    status: Number(status),
    description: `${STATUS_CODES[status]}: ${what}`,
    content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/ProblemDto' } } },
    ...(status === '429' || status === '503' ? { headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } } } : {}),
  })));
}

/** Serves the page at /docs and the document at /docs-json (OpenAPI 3, bearer authentication). Call before listening. */
export function setupOpenApi(app: NestFastifyApplication, info: { readonly title: string; readonly description: string; readonly version: string }): void {
  const config = new DocumentBuilder().setTitle(info.title).setDescription(info.description).setVersion(info.version).addBearerAuth({ type: 'http', scheme: 'bearer', description: 'A token of the tokens file, or a JWT' }).build();
  const create = (): OpenAPIObject => withLiteralColons(SwaggerModule.createDocument(app, config, { extraModels: [ProblemDto] }));
  SwaggerModule.setup('docs', app, create, { ui: false, raw: ['json', 'yaml'], jsonDocumentUrl: 'docs-json', yamlDocumentUrl: 'docs-yaml' });
  serveDocsPage(app.getHttpAdapter().getInstance() as unknown as FastifyInstance, info.title);
}

/** A router path writes a colon as `::`, which is no parameter; the document generator takes it for one. */
function withLiteralColons(document: OpenAPIObject): OpenAPIObject {
  const paths = Object.entries(document.paths).map(([path, item]) => [path.replace(/:\{(\w+)\}/g, ':$1'), item] as const);
  return { ...document, paths: Object.fromEntries(paths) };
}
