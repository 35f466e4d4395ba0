// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface DispatcherSight {
  /**
   * The dispatcher's node.
   */
  'nodeId'?: (string);
  /**
   * The epoch that it leads under, as text: number, dot, token.
   */
  'epoch'?: (string);
  /**
   * 0 while a stream to it is open; else for how many milliseconds there has been none.
   */
  'lostForMs'?: (number | string | Long);
}

export interface DispatcherSight__Output {
  /**
   * The dispatcher's node.
   */
  'nodeId': (string);
  /**
   * The epoch that it leads under, as text: number, dot, token.
   */
  'epoch': (string);
  /**
   * 0 while a stream to it is open; else for how many milliseconds there has been none.
   */
  'lostForMs': (string);
}
