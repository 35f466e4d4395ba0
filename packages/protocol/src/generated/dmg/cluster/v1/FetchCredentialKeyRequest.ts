// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


export interface FetchCredentialKeyRequest {
  /**
   * The asking node.
   */
  'nodeId'?: (string);
  /**
   * Its certificate (PEM), whose key the answer is wrapped to. Looked at only without TLS: with TLS it is the connection's.
   */
  'certificate'?: (string);
}

export interface FetchCredentialKeyRequest__Output {
  /**
   * The asking node.
   */
  'nodeId': (string);
  /**
   * Its certificate (PEM), whose key the answer is wrapped to. Looked at only without TLS: with TLS it is the connection's.
   */
  'certificate': (string);
}
