// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type { Open as _dmg_cluster_v1_Open, Open__Output as _dmg_cluster_v1_Open__Output } from '../../../dmg/cluster/v1/Open.ts';
import type { Hello as _dmg_cluster_v1_Hello, Hello__Output as _dmg_cluster_v1_Hello__Output } from '../../../dmg/cluster/v1/Hello.ts';
import type { Dispatch as _dmg_cluster_v1_Dispatch, Dispatch__Output as _dmg_cluster_v1_Dispatch__Output } from '../../../dmg/cluster/v1/Dispatch.ts';
import type { Cancel as _dmg_cluster_v1_Cancel, Cancel__Output as _dmg_cluster_v1_Cancel__Output } from '../../../dmg/cluster/v1/Cancel.ts';
import type { Heartbeat as _dmg_cluster_v1_Heartbeat, Heartbeat__Output as _dmg_cluster_v1_Heartbeat__Output } from '../../../dmg/cluster/v1/Heartbeat.ts';
import type { Goodbye as _dmg_cluster_v1_Goodbye, Goodbye__Output as _dmg_cluster_v1_Goodbye__Output } from '../../../dmg/cluster/v1/Goodbye.ts';
import type { Supersede as _dmg_cluster_v1_Supersede, Supersede__Output as _dmg_cluster_v1_Supersede__Output } from '../../../dmg/cluster/v1/Supersede.ts';
import type { TellAssistants as _dmg_cluster_v1_TellAssistants, TellAssistants__Output as _dmg_cluster_v1_TellAssistants__Output } from '../../../dmg/cluster/v1/TellAssistants.ts';

/**
 * From the side that opened the stream.
 */
export interface ClientFrame {
  /**
   * The first frame, and only the first.
   */
  'open'?: (_dmg_cluster_v1_Open | null);
  'hello'?: (_dmg_cluster_v1_Hello | null);
  'dispatch'?: (_dmg_cluster_v1_Dispatch | null);
  'cancel'?: (_dmg_cluster_v1_Cancel | null);
  'heartbeat'?: (_dmg_cluster_v1_Heartbeat | null);
  'goodbye'?: (_dmg_cluster_v1_Goodbye | null);
  /**
   * Since 1.1; answered by a cancel_answer.
   */
  'supersede'?: (_dmg_cluster_v1_Supersede | null);
  /**
   * Since 1.1; answered by a cancel_answer.
   */
  'tellAssistants'?: (_dmg_cluster_v1_TellAssistants | null);
  /**
   * Exactly one is set.
   */
  'frame'?: "open"|"hello"|"dispatch"|"cancel"|"heartbeat"|"goodbye"|"supersede"|"tellAssistants";
}

/**
 * From the side that opened the stream.
 */
export interface ClientFrame__Output {
  /**
   * The first frame, and only the first.
   */
  'open'?: (_dmg_cluster_v1_Open__Output | null);
  'hello'?: (_dmg_cluster_v1_Hello__Output | null);
  'dispatch'?: (_dmg_cluster_v1_Dispatch__Output | null);
  'cancel'?: (_dmg_cluster_v1_Cancel__Output | null);
  'heartbeat'?: (_dmg_cluster_v1_Heartbeat__Output | null);
  'goodbye'?: (_dmg_cluster_v1_Goodbye__Output | null);
  /**
   * Since 1.1; answered by a cancel_answer.
   */
  'supersede'?: (_dmg_cluster_v1_Supersede__Output | null);
  /**
   * Since 1.1; answered by a cancel_answer.
   */
  'tellAssistants'?: (_dmg_cluster_v1_TellAssistants__Output | null);
  /**
   * Exactly one is set.
   */
  'frame'?: "open"|"hello"|"dispatch"|"cancel"|"heartbeat"|"goodbye"|"supersede"|"tellAssistants";
}
