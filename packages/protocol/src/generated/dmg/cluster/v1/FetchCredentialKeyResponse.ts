// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto


export interface FetchCredentialKeyResponse {
  /**
   * False: this node does not have it either.
   */
  'found'?: (boolean);
  /**
   * The private half, encrypted to the key of the asker's certificate; empty when it was not found.
   */
  'wrappedKey'?: (Buffer | Uint8Array | string);
}

export interface FetchCredentialKeyResponse__Output {
  /**
   * False: this node does not have it either.
   */
  'found': (boolean);
  /**
   * The private half, encrypted to the key of the asker's certificate; empty when it was not found.
   */
  'wrappedKey': (Buffer);
}
