import { ApiProperty } from '@nestjs/swagger';
import { PROTOCOL_NAMES } from '#libs/protocol';
import { IsIn, IsInt, IsOptional, IsString, Length, Matches, Max, Min } from 'class-validator';

/** Ids travel in URLs and logs. */
const ID = /^[\w.:@-]+$/;
const ID_MESSAGE = 'takes letters, digits and any of _ . : @ -';

export class CheckoutDto {
  @ApiProperty({ type: String, required: false, maxLength: 64, example: 'o-1', description: 'Made up when absent' })
  @IsOptional() @IsString() @Length(1, 64) @Matches(ID, { message: ID_MESSAGE })
  orderId?: string;

  @ApiProperty({ type: String, maxLength: 64, example: 'c-1' })
  @IsString() @Length(1, 64) @Matches(ID, { message: ID_MESSAGE })
  customerId: string;

  @ApiProperty({ type: String, maxLength: 64, example: 's-1' })
  @IsString() @Length(1, 64) @Matches(ID, { message: ID_MESSAGE })
  sku: string;

  @ApiProperty({ type: Number, minimum: 1, maximum: 1_000_000_000, example: 1 })
  @IsInt() @Min(1) @Max(1_000_000_000)
  quantity: number;

  @ApiProperty({ type: Number, minimum: 1, maximum: 1_000_000_000_000, example: 1000 })
  @IsInt() @Min(1) @Max(1_000_000_000_000)
  amountCents: number;

  @ApiProperty({ enum: PROTOCOL_NAMES, required: false, default: '2pc' })
  @IsOptional() @IsIn(PROTOCOL_NAMES)
  protocol?: (typeof PROTOCOL_NAMES)[number];
}
