import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsNotEmpty, IsNumber, IsOptional, IsString, Matches, Max, MaxLength, Min, ValidateIf } from 'class-validator';
import { PROTOCOL_NAMES } from '#libs/protocol';
import type { TransactionStatus } from '#libs/runtime';
import { STATUSES } from './statuses.js';

/** Query strings and small bodies. The body of a transaction, which is on the hot path, has a reader of its own. */

const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d))?$/;
const TIME_MESSAGE = { message: 'must be a date (2026-01-31) or a time with zone (2026-01-31T12:00:00Z)' };
const CURSOR = /^[\w.~-]{1,500}$/;
const CURSOR_MESSAGE = { message: 'must be a nextCursor of an earlier answer' };
/** No control characters but line breaks and tabs: databases and terminals choke on them. */
const PLAIN_TEXT = /^[^\p{Cc}\p{Surrogate}]*(?:[\n\r\t][^\p{Cc}\p{Surrogate}]*)*$/u;

export class WaitQuery {
  @ApiProperty({ type: Number, required: false, description: 'Seconds to wait; at most 60 are waited' })
  @IsOptional()
  @Type(() => Number)
  @IsNumber({}, { message: 'must be a number of seconds from 0 to 3600' })
  @Min(0)
  @Max(3_600)
  wait?: number;

  @ApiProperty({ enum: ['decided', 'finished'], required: false, description: 'What to wait for. Default: finished for a saga, decided otherwise' })
  @IsOptional()
  @IsIn(['decided', 'finished'])
  waitFor?: 'decided' | 'finished';
}

export class PageQuery {
  @ApiProperty({ type: String, required: false, description: 'nextCursor of the page before' })
  @IsOptional()
  @Matches(CURSOR, CURSOR_MESSAGE)
  cursor?: string;

  @ApiProperty({ type: Number, required: false, default: 50, minimum: 1, maximum: 500 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(500)
  limit?: number;
}

export class ListQuery extends PageQuery {
  @ApiProperty({ enum: STATUSES, required: false })
  @IsOptional()
  @IsIn([...STATUSES])
  status?: TransactionStatus;

  @ApiProperty({ enum: PROTOCOL_NAMES, required: false })
  @IsOptional()
  @IsIn([...PROTOCOL_NAMES])
  protocol?: '2pc' | '3pc' | 'paxos-commit' | 'saga';

  @ApiProperty({ type: String, required: false, description: 'Name of a participant of one of the branches' })
  @IsOptional()
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, { message: 'must be the name of a participant' })
  participant?: string;

  @ApiProperty({ type: String, required: false, description: 'Reason code' })
  @IsOptional()
  @Matches(/^[\x21-\x7e]{1,100}$/, { message: 'must be a reason code' })
  reason?: string;

  @ApiProperty({ type: String, format: 'date-time', required: false, description: 'Created at this time or later' })
  @IsOptional()
  @Matches(ISO_TIME, TIME_MESSAGE)
  since?: string;

  @ApiProperty({ type: String, format: 'date-time', required: false, description: 'Created before this time' })
  @IsOptional()
  @Matches(ISO_TIME, TIME_MESSAGE)
  until?: string;
}

export class AuditQuery extends PageQuery {}

export class TransactionActionBody {
  @ApiProperty({ enum: ['retry-now', 'cancel', 'resolve', 'skip-step'] })
  @IsIn(['retry-now', 'cancel', 'resolve', 'skip-step'])
  action: 'retry-now' | 'cancel' | 'resolve' | 'skip-step';

  @ApiProperty({ type: String, required: false, maxLength: 1_000, description: 'Why; kept in the audit log, and with what it ends or skips. Required for resolve and skip-step.' })
  @ValidateIf((body: TransactionActionBody) => body.comment !== undefined || body.action === 'resolve' || body.action === 'skip-step')
  @IsString()
  @IsNotEmpty()
  @MaxLength(1_000)
  @Matches(PLAIN_TEXT, { message: 'must be plain text' })
  comment?: string;

  @ApiProperty({ enum: ['commit', 'abort'], required: false, description: 'resolve only: the decision that is meant. It is refused where the register holds the other one, and an undecided transaction can only be resolved to abort.' })
  @IsOptional()
  @IsIn(['commit', 'abort'])
  decision?: 'commit' | 'abort';

  @ApiProperty({ type: String, required: false, maxLength: 100, description: 'skip-step only, and required there: the id of the step' })
  @ValidateIf((body: TransactionActionBody) => body.step !== undefined || body.action === 'skip-step')
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, { message: 'must be the id of a step' })
  step?: string;
}

export class ParticipantActionBody {
  @ApiProperty({ enum: ['pause', 'resume'] })
  @IsIn(['pause', 'resume'])
  action: 'pause' | 'resume';

  @ApiProperty({ type: String, required: false, maxLength: 1_000, description: 'Why; kept in the audit log' })
  @IsOptional()
  @IsString()
  @MaxLength(1_000)
  @Matches(PLAIN_TEXT, { message: 'must be plain text' })
  comment?: string;
}
