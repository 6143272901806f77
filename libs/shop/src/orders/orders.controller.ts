import { Controller, Get, Param } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Role } from '#libs/service';
import { Repository } from 'typeorm';
import { readOr404 } from '../read.js';
import { Order } from './order.entity.js';

@Role('read')
@Controller('orders')
export class OrdersController {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {}

  @Get(':id')
  read(@Param('id') id: string): Promise<Order> {
    return readOr404(id, 'UNKNOWN_ORDER', (key) => this.orders.findOneBy({ id: key }));
  }
}
