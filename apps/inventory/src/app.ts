import { participantApp } from '#libs/participant';
import type { StartApp } from '#libs/service';
import { InventoryModule } from '#libs/shop';

export const startInventory: StartApp = participantApp({ name: 'inventory', databaseRole: 'inventory', version: '0.1.0', defaultPort: 3003, module: InventoryModule });
