import 'reflect-metadata';
import { runMain } from '#libs/service';
import { startAcceptor } from './app.js';

runMain('acceptor', startAcceptor);
