import { Controller, Get, Param } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Role } from '#libs/service';
import { Repository } from 'typeorm';
import { readOr404 } from '../read.js';
import { Account } from './account.entity.js';

@Role('read')
@Controller('customers')
export class CustomersController {
  constructor(@InjectRepository(Account) private readonly accounts: Repository<Account>) {}

  @Get(':id')
  read(@Param('id') id: string): Promise<Account> {
    return readOr404(id, 'UNKNOWN_CUSTOMER', (key) => this.accounts.findOneBy({ customerId: key }));
  }
}
