export { type Debit, PaymentsParticipant } from './payments/payments.participant.js';
export { Account } from './payments/account.entity.js';
export { PaymentsModule } from './payments/payments.module.js';
export { InventoryParticipant, type Reserve } from './inventory/inventory.participant.js';
export { Stock } from './inventory/stock.entity.js';
export { InventoryModule } from './inventory/inventory.module.js';
export { OrdersParticipant, type PlaceOrder } from './orders/orders.participant.js';
export { Order, type OrderStatus } from './orders/order.entity.js';
export { OrdersModule } from './orders/orders.module.js';
