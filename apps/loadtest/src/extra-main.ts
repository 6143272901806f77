import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startExtra } from './extra/app.js';

runMain('extra', startExtra);
