/** The keys of one gateway. All carry its hash tag, so that one script may touch several of them, also in Cluster mode. */
export interface GatewayKeys {
  /** Token of the holder; the only key that expires. */
  readonly lease: string;
  /** Hash {n, token, node, address, beat}: the grant that was installed last. */
  readonly lead: string;
  /** Random id of the data set. */
  readonly life: string;
  /** Hash {job id: 'epochN.version'} of all records. */
  readonly index: string;
  /** Hash {epochN, version, data}: the record of a job. */
  job(jobId: string): string;
}

export function gatewayKeys(gatewayId: string): GatewayKeys {
  const prefix = `dmg:{${gatewayId}}:`;
  return {
    lease: `${prefix}lease`, lead: `${prefix}lead`, life: `${prefix}life`, index: `${prefix}index`, job: (jobId) => `${prefix}job:${jobId}`,
  };
}
