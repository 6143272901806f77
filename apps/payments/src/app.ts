import { participantApp } from '#libs/participant';
import type { StartApp } from '#libs/service';
import { PaymentsModule } from '#libs/shop';

export const startPayments: StartApp = participantApp({ name: 'payments', databaseRole: 'payments', version: '0.1.0', defaultPort: 3002, module: PaymentsModule });
