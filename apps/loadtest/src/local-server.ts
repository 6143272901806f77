import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startLocal } from './local-app.js';

runMain('local', startLocal);
