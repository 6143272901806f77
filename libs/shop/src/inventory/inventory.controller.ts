import { Controller, Get, Param } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Role } from '#libs/service';
import { Repository } from 'typeorm';
import { readOr404 } from '../read.js';
import { Stock } from './stock.entity.js';

@Role('read')
@Controller('inventory')
export class InventoryController {
  constructor(@InjectRepository(Stock) private readonly stock: Repository<Stock>) {}

  @Get(':sku')
  read(@Param('sku') sku: string): Promise<Stock> {
    return readOr404(sku, 'UNKNOWN_SKU', (key) => this.stock.findOneBy({ sku: key }));
  }
}
