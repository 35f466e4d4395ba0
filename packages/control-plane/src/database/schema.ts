/** Tables as Kysely sees them. Times are milliseconds of the wall clock; JSON is kept as text; names also in lower case as `*_key`. */
export interface Database {
  meta: MetaRow;
  factories: FactoryRow;
  definitions: DefinitionRow;
  secrets: SecretRow;
  gateways: GatewayRow;
  nodes: NodeRow;
  stores: StoreRow;
  store_nodes: StoreNodeRow;
  pipeline_runs: PipelineRunRow;
  activity_runs: ActivityRunRow;
  outbox: OutboxRow;
}

export interface MetaRow {
  key: string;
  value: string;
}

export interface FactoryRow {
  id: string;
  subscription_id: string;
  subscription_key: string;
  resource_group: string;
  resource_group_key: string;
  name: string;
  name_key: string;
  /** The document as it was PUT. */
  resource: string;
  etag: string;
  created_at: number;
}

/** Linked services (secrets masked), datasets and pipelines, as they were PUT. */
export interface DefinitionRow {
  factory_id: string;
  kind: string;
  name: string;
  name_key: string;
  resource: string;
  etag: string;
  updated_at: number;
}

export interface SecretRow {
  factory_id: string;
  linked_service_key: string;
  property: string;
  /** AES-256-GCM, bound to factory, linked service and property. */
  sealed: string;
}

export interface GatewayRow {
  id: string;
  factory_id: string;
  name: string;
  name_key: string;
  resource: string;
  etag: string;
  created_at: number;
  key1_generation: number;
  key1_hash: string;
  key2_generation: number;
  key2_hash: string;
  /** `sendNo` of the next message. */
  next_send_no: number;
  /** Version of the desired state of all its nodes. */
  desired_version: number;
  /** Public JWK; null until the first node registers, and again when the last one is deleted. */
  credential_key: string | null;
  credential_key_id: string | null;
  /** The gateway's own CA (PEM), which certifies its nodes to each other; null until the first node registers. */
  ca_certificate: string | null;
  /** Its private key (PKCS #8, PEM), AES-256-GCM under the master secret, bound to the gateway. */
  ca_key_sealed: string | null;
  /** Registered nodes at most (DESIGN-RULES 19). */
  nodes_max: number;
  /** GatewayDecision of the last dispatcher that made one; null before the first. */
  decision: string | null;
  /** The version that an update in progress goes to. */
  target_version: string | null;
}

export interface NodeRow {
  id: string;
  gateway_id: string;
  name: string;
  name_key: string;
  machine_name: string;
  version: string;
  /** Which gateway key it registered with; regenerating that key ends the node's token. */
  key_name: string;
  token_hash: string | null;
  registered_at: number;
  last_alive_at: number | null;
  boot_id: string | null;
  last_start_at: number | null;
  concurrent_jobs_limit: number;
  /** What the node said its machine can bear; null until its first report. */
  slots_max: number | null;
  /** Host and port at which the other nodes reach it, as it said last; empty: not known. */
  address: string;
  /** Digest of what all nodes must agree in, as it said last; empty: not known. */
  config_digest: string;
  /** Id of the credential key that it brought when it registered last; by it a node that comes back is known. */
  credential_key_id: string | null;
  /** Set while the user wants the node to take no jobs: what runs may finish for so many milliseconds. */
  drain_grace_ms: number | null;
}

/** Local paths, each bound to the nodes that find this id in the hidden file at its root (DESIGN-RULES 6). */
export interface StoreRow {
  gateway_id: string;
  path: string;
  store_id: string;
}

/** Which nodes said that they find the store under that path. The store goes when the last one is deleted. */
export interface StoreNodeRow {
  gateway_id: string;
  path: string;
  node_id: string;
}

export interface PipelineRunRow {
  run_id: string;
  factory_id: string;
  pipeline_name: string;
  pipeline_key: string;
  parameters: string;
  status: string;
  cancel_requested: number;
  created_at: number;
  ended_at: number | null;
  updated_at: number;
  message: string | null;
}

export interface ActivityRunRow {
  activity_run_id: string;
  job_id: string;
  run_id: string;
  factory_id: string;
  gateway_id: string;
  ordinal: number;
  name: string;
  type: string;
  depends_on: string;
  policy: string;
  /** CopyActivity with `secretRef`s; the sealed secrets as they were when the run was accepted stand in `sealed_secrets`. */
  activity: string;
  sealed_secrets: string;
  phase: string;
  status: string;
  try_number: number;
  /** Messages sent so far, and those of the current try that were re-sends or returned as dead letters. */
  sends: number;
  resends: number;
  dead_letters: number;
  send_no: number | null;
  /** 1 while a node that runs the job must be told to stop although the run has ended here. */
  abandoned: number;
  /** When its dependencies had ended. */
  queued_at: number | null;
  started_at: number | null;
  ended_at: number | null;
  node_name: string | null;
  /** AttemptOutcome of the end, or undefined. */
  outcome: string | null;
  attempt_ms: number | null;
  /** Why it ended without a report: Fault. */
  fault: string | null;
  /** Fault of the last failed try. */
  last_failure: string | null;
  note: string | null;
}

/** One row a job that is to be sent. `message_id` and `send_no` are chosen before the first attempt to send, and then kept. */
export interface OutboxRow {
  job_id: string;
  gateway_id: string;
  due_at: number;
  message_id: string | null;
  send_no: number | null;
  reason: string | null;
}
