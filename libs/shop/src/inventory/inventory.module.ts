import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { InventoryController } from './inventory.controller.js';
import { InventoryParticipant } from './inventory.participant.js';
import { Stock } from './stock.entity.js';

/** Operations `reserve` and `check`, and GET /inventory/:sku. Needs TypeOrmModule.forRoot and ParticipantModule.forRoot beside it. */
@Module({ imports: [TypeOrmModule.forFeature([Stock])], controllers: [InventoryController], providers: [InventoryParticipant] })
export class InventoryModule {}
