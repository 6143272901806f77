import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Order } from './order.entity.js';
import { OrdersController } from './orders.controller.js';
import { OrdersParticipant } from './orders.participant.js';

/** Operation `place` and GET /orders/:id. Needs TypeOrmModule.forRoot and ParticipantModule.forRoot beside it. */
@Module({ imports: [TypeOrmModule.forFeature([Order])], controllers: [OrdersController], providers: [OrdersParticipant] })
export class OrdersModule {}
