/** The queue's client and what it is made of. */
const clientFrame = /[\\/]node_modules[\\/](?:@azure[\\/](?:service-bus|core-amqp)|rhea|rhea-promise)[\\/]/;
/** Node's own: timers, event emitters. */
const nodeFrame = /\(?node:|\(<anonymous>\)$/;

/**
 * Whether an error that nobody caught is one that the queue's client threw or rejected with behind our back: on a connection that died
 * without a word, its timers end long after we have given that connection up and made another (`@azure/service-bus` 7.9.5: closing a
 * receiver, and requests to the management node, after 60 s). Nothing of ours waits for them. True only when every frame of its stack is
 * the client's or Node's.
 */
export function isStrayClientError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const frames = (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '));
  return frames.some((frame) => clientFrame.test(frame)) && frames.every((frame) => clientFrame.test(frame) || nodeFrame.test(frame));
}
