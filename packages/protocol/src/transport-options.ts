import type { ChannelOptions, ServerOptions } from '@grpc/grpc-js';

/** Every setting of gRPC that differs from its default or that we rely on, with the reason. */

/** The largest message. A job is at most some hundred KB (larger ones are blobs); a list of attempts is cut into parts. */
export const messageBytesMax = 8 * 1024 * 1024;

/** The largest signed job that goes over a stream: a message less what stands around the job. */
export const signedJobBytesMax = messageBytesMax - 64 * 1024;

/** A part of the answer to hello is sent when it has grown beyond this. */
export const helloPartBytesMax = 1024 * 1024;

const shared = {
  'grpc.max_send_message_length': messageBytesMax,
  'grpc.max_receive_message_length': messageBytesMax,
  // Liveness is our own heartbeats' matter (they carry facts, and tell a frozen peer within 2 s). These pings end what they cannot see:
  // a connection on which no stream was opened.
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 2_000,
  // Nobody looks at it, and it keeps a record of every call.
  'grpc.enable_channelz': 0,
} as const satisfies ChannelOptions;

export const serverOptions: ServerOptions = {
  ...shared,
  // A member needs one stream and, seldom, one call besides.
  'grpc.max_concurrent_streams': 16,
};

export const channelOptions: ChannelOptions = {
  ...shared,
  // Only while there is a stream.
  'grpc.keepalive_permit_without_calls': 0,
  // Each connection is a channel of its own, which ends with it: connections shared by address would outlive a change of certificate.
  'grpc.use_local_subchannel_pool': 1,
  // When to connect again is decided by the link, which knows more than the channel.
  'grpc.initial_reconnect_backoff_ms': 60_000,
  'grpc.max_reconnect_backoff_ms': 60_000,
  // A dispatch that is sent twice by the channel without our knowledge is one too many.
  'grpc.enable_retries': 0,
  // There is no service config in any DNS for us to look for.
  'grpc.service_config_disable_resolution': 1,
  // Nodes speak directly. A proxy in the environment is meant for the cloud.
  'grpc.enable_http_proxy': 0,
  // Hello answers of a megabyte must not wait for a round trip each 64 KB.
  'grpc-node.flow_control_window': 1024 * 1024,
};
