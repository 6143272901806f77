import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startCoordinator } from './app.js';

runMain('coordinator', startCoordinator);
