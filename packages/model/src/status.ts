/** Status of a node (DESIGN §6). `Inactive` is the portal's word and not in the REST enum; `contracts` maps it. */
export type NodeStatus =
  | 'NeedRegistration' | 'Initializing' | 'InitializeFailed' | 'Offline' | 'Upgrading' | 'Inactive' | 'Limited' | 'Online';

export const nodeStatuses: readonly NodeStatus[] = [
  'NeedRegistration', 'Initializing', 'InitializeFailed', 'Offline', 'Upgrading', 'Inactive', 'Limited', 'Online',
];

export type GatewayStatus = 'NeedRegistration' | 'Online' | 'Limited' | 'Offline';

/** A status with what speaks for it and what to do about it; the remedy is empty when nothing is to be done. */
export interface Judgement<Status extends NodeStatus | GatewayStatus> {
  readonly status: Status;
  readonly evidence: string;
  readonly remedy: string;
}

/** Status of a pipeline run or an activity run, spelled as the REST API spells it. */
export type RunStatus = 'Queued' | 'InProgress' | 'Succeeded' | 'Failed' | 'Canceling' | 'Cancelled';

export const terminalRunStatuses: readonly RunStatus[] = ['Succeeded', 'Failed', 'Cancelled'];
