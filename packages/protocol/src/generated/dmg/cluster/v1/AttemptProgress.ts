// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/attempt.proto

import type { ProgressStep as _dmg_cluster_v1_ProgressStep, ProgressStep__Output as _dmg_cluster_v1_ProgressStep__Output } from '../../../dmg/cluster/v1/ProgressStep.ts';
import type { Long } from '@grpc/proto-loader';

export interface AttemptProgress {
  /**
   * What the attempt does now.
   */
  'step'?: (_dmg_cluster_v1_ProgressStep);
  /**
   * Bytes that the source has, as far as is known.
   */
  'bytesTotal'?: (number | string | Long);
  /**
   * Bytes taken from the source.
   */
  'bytesRead'?: (number | string | Long);
  /**
   * Bytes given to the sink.
   */
  'bytesWritten'?: (number | string | Long);
  /**
   * Rows given to the sink.
   */
  'rowsWritten'?: (number | string | Long);
  /**
   * Files that the source has, as far as is known.
   */
  'filesTotal'?: (number | string | Long);
  /**
   * Files given to the sink.
   */
  'filesWritten'?: (number | string | Long);
  /**
   * Since 1.1: on how many further nodes chunks could be copied now.
   */
  'assistantsWanted'?: (number);
  /**
   * Since 1.1: it reads under a snapshot that ends with its node unless another node keeps it.
   */
  'snapshotHeld'?: (boolean);
  '_assistantsWanted'?: "assistantsWanted";
  '_snapshotHeld'?: "snapshotHeld";
}

export interface AttemptProgress__Output {
  /**
   * What the attempt does now.
   */
  'step': (_dmg_cluster_v1_ProgressStep__Output);
  /**
   * Bytes that the source has, as far as is known.
   */
  'bytesTotal': (string);
  /**
   * Bytes taken from the source.
   */
  'bytesRead': (string);
  /**
   * Bytes given to the sink.
   */
  'bytesWritten': (string);
  /**
   * Rows given to the sink.
   */
  'rowsWritten': (string);
  /**
   * Files that the source has, as far as is known.
   */
  'filesTotal': (string);
  /**
   * Files given to the sink.
   */
  'filesWritten': (string);
  /**
   * Since 1.1: on how many further nodes chunks could be copied now.
   */
  'assistantsWanted'?: (number);
  /**
   * Since 1.1: it reads under a snapshot that ends with its node unless another node keeps it.
   */
  'snapshotHeld'?: (boolean);
  '_assistantsWanted'?: "assistantsWanted";
  '_snapshotHeld'?: "snapshotHeld";
}
