import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Account } from './account.entity.js';
import { CustomersController } from './customers.controller.js';
import { PaymentsParticipant } from './payments.participant.js';

/** Operation `debit` and GET /customers/:id. Needs TypeOrmModule.forRoot and ParticipantModule.forRoot beside it. */
@Module({ imports: [TypeOrmModule.forFeature([Account])], controllers: [CustomersController], providers: [PaymentsParticipant] })
export class PaymentsModule {}
