import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startInventory } from './app.js';

runMain('inventory', startInventory);
