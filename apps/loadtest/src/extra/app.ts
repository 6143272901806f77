import { Injectable, Module, type Type } from '@nestjs/common';
import { Participant, participantApp } from '#libs/participant';
import { envText, type StartApp } from '#libs/service';
import { HoldHandlers } from './hold-handlers.js';

const NAME = /^[A-Za-z0-9][\w.-]{0,99}$/;

/** A participant more for load tests, named by EXTRA_NAME; its other variables begin with that name: `EXTRA_1_DATABASE_URL` of `extra-1`. Its port is the system's choice. */
export const startExtra: StartApp = async (env, deps) => {
  const name = envText(env, 'EXTRA_NAME', { pattern: NAME, takes: '1 to 100 letters, digits, dots, dashes or underscores' });
  return participantApp({ name, databaseRole: 'extra', version: '0.1.0', defaultPort: 0, module: extraModule(name) })(env, deps);
};

/** A decorator takes the name when the class is made: a class for each. */
export function extraModule(name: string): Type {
  @Injectable()
  @Participant(name)
  class ExtraParticipant extends HoldHandlers {}

  @Module({ providers: [ExtraParticipant] })
  class ExtraModule {}

  return ExtraModule;
}
