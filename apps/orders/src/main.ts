import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startOrders } from './app.js';

runMain('orders', startOrders);
