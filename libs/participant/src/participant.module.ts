import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { InboxController } from './inbox.controller.js';
import { PARTICIPANT_DATA_SOURCE, PARTICIPANT_OPTIONS, type ParticipantModuleOptions } from './options.js';
import { ParticipantHost } from './participant-host.js';

/**
 * Makes the application a participant: its providers decorated with `@Participant(name)` serve the inbox. The application must
 * connect a microservice with the InboxStrategy of libs/kafka for `{ role: 'participant', name }`, as `participantApp` does.
 */
@Module({})
export class ParticipantModule {
  static forRoot(options: ParticipantModuleOptions): DynamicModule {
    return {
      module: ParticipantModule,
      imports: [DiscoveryModule],
      controllers: [InboxController],
      providers: [{ provide: PARTICIPANT_OPTIONS, useValue: options }, dataSourceProvider(options), ParticipantHost],
      exports: [ParticipantHost],
    };
  }
}

function dataSourceProvider({ dataSource }: ParticipantModuleOptions): Provider {
  if (dataSource !== undefined) return { provide: PARTICIPANT_DATA_SOURCE, useValue: dataSource };
  return { provide: PARTICIPANT_DATA_SOURCE, useFactory: (found: DataSource) => found, inject: [DataSource] };
}
