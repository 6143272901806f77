import { participantApp } from '#libs/participant';
import type { StartApp } from '#libs/service';
import { OrdersModule } from '#libs/shop';

export const startOrders: StartApp = participantApp({ name: 'orders', databaseRole: 'orders', version: '0.1.0', defaultPort: 3001, module: OrdersModule });
