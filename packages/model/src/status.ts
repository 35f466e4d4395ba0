/** Status of a node (DESIGN §6). `Inactive` is the portal's word and not in the REST enum; `contracts` maps it. */
export type NodeStatus =
  | 'NeedRegistration' | 'Initializing' | 'InitializeFailed' | 'Offline' | 'Upgrading' | 'Inactive' | 'Limited' | 'Online';

export type GatewayStatus = 'NeedRegistration' | 'Online' | 'Limited' | 'Offline';

/** Status of a pipeline run or an activity run, spelled as the REST API spells it. */
export type RunStatus = 'Queued' | 'InProgress' | 'Succeeded' | 'Failed' | 'Canceling' | 'Cancelled';

export const terminalRunStatuses: readonly RunStatus[] = ['Succeeded', 'Failed', 'Cancelled'];
