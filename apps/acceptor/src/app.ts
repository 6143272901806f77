import { acceptorApp } from '#libs/participant';
import type { StartApp } from '#libs/service';

/** An acceptor of Paxos Commit on a site of its own: for deployments that want one more than their services host, or other places. */
export const startAcceptor: StartApp = acceptorApp({ version: '0.1.0', defaultPort: 3004 });
