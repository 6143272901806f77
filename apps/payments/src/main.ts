import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startPayments } from './app.js';

runMain('payments', startPayments);
