import type { Options } from '@grpc/proto-loader';

/**
 * How messages look as objects. The generator builds its flags from these and the loader gets them: types and objects agree only while
 * both use the same. 64-bit integers come as text, because a number loses digits above 2^53; the codec turns them into numbers.
 */
export const protoLoaderOptions = {
  keepCase: false,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
} as const satisfies Options;
