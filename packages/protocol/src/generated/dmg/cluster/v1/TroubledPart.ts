// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/node.proto

export const TroubledPart = {
  /**
   * Never sent.
   */
  TROUBLED_PART_UNSPECIFIED: 'TROUBLED_PART_UNSPECIFIED',
  TROUBLED_PART_REDIS: 'TROUBLED_PART_REDIS',
  TROUBLED_PART_QUEUE: 'TROUBLED_PART_QUEUE',
  TROUBLED_PART_CONTROL_PLANE: 'TROUBLED_PART_CONTROL_PLANE',
  /**
   * The private half of the gateway's credential key is not here.
   */
  TROUBLED_PART_CREDENTIAL_KEY: 'TROUBLED_PART_CREDENTIAL_KEY',
  /**
   * No room for logs or work files.
   */
  TROUBLED_PART_DISK: 'TROUBLED_PART_DISK',
} as const;

export type TroubledPart =
  /**
   * Never sent.
   */
  | 'TROUBLED_PART_UNSPECIFIED'
  | 0
  | 'TROUBLED_PART_REDIS'
  | 1
  | 'TROUBLED_PART_QUEUE'
  | 2
  | 'TROUBLED_PART_CONTROL_PLANE'
  | 3
  /**
   * The private half of the gateway's credential key is not here.
   */
  | 'TROUBLED_PART_CREDENTIAL_KEY'
  | 4
  /**
   * No room for logs or work files.
   */
  | 'TROUBLED_PART_DISK'
  | 5

export type TroubledPart__Output = typeof TroubledPart[keyof typeof TroubledPart]
