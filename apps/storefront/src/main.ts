import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startStorefront } from './app.js';

runMain('storefront', startStorefront);
