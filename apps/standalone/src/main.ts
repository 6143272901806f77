import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startStandalone } from './app.js';

runMain('standalone', startStandalone);
