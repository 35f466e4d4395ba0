import type { GatewayStatus, NodeStatus } from '@dmg/model';

/** `SelfHostedIntegrationRuntimeNodeStatus` of the REST API. */
export type RestNodeStatus = 'NeedRegistration' | 'Online' | 'Limited' | 'Offline' | 'Upgrading' | 'Initializing' | 'InitializeFailed';

/**
 * The one table from our statuses to the REST API's. `Inactive` is a word of the portal that the API does not have: the node lives but
 * takes no part, which is `Limited`.
 */
export const restNodeStatus: Readonly<Record<NodeStatus, RestNodeStatus>> = {
  NeedRegistration: 'NeedRegistration',
  Initializing: 'Initializing',
  InitializeFailed: 'InitializeFailed',
  Offline: 'Offline',
  Upgrading: 'Upgrading',
  Inactive: 'Limited',
  Limited: 'Limited',
  Online: 'Online',
};

/** `IntegrationRuntimeState` of the REST API; the four that a self-hosted one can have. */
export const restGatewayState: Readonly<Record<GatewayStatus, 'NeedRegistration' | 'Online' | 'Limited' | 'Offline'>> = {
  NeedRegistration: 'NeedRegistration',
  Online: 'Online',
  Limited: 'Limited',
  Offline: 'Offline',
};
