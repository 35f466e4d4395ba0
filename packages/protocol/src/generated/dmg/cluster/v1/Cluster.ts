// Generated from proto/ by `npm run gen`. Do not edit.
// Original file: proto/dmg/cluster/v1/cluster.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ClientFrame as _dmg_cluster_v1_ClientFrame, ClientFrame__Output as _dmg_cluster_v1_ClientFrame__Output } from '../../../dmg/cluster/v1/ClientFrame.ts';
import type { FetchCredentialKeyRequest as _dmg_cluster_v1_FetchCredentialKeyRequest, FetchCredentialKeyRequest__Output as _dmg_cluster_v1_FetchCredentialKeyRequest__Output } from '../../../dmg/cluster/v1/FetchCredentialKeyRequest.ts';
import type { FetchCredentialKeyResponse as _dmg_cluster_v1_FetchCredentialKeyResponse, FetchCredentialKeyResponse__Output as _dmg_cluster_v1_FetchCredentialKeyResponse__Output } from '../../../dmg/cluster/v1/FetchCredentialKeyResponse.ts';
import type { ServerFrame as _dmg_cluster_v1_ServerFrame, ServerFrame__Output as _dmg_cluster_v1_ServerFrame__Output } from '../../../dmg/cluster/v1/ServerFrame.ts';

export interface ClusterClient extends grpc.Client {
  /**
   * The stream from a node to another member. First frames: open, then opened or refused.
   */
  Connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_dmg_cluster_v1_ClientFrame, _dmg_cluster_v1_ServerFrame__Output>;
  Connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_dmg_cluster_v1_ClientFrame, _dmg_cluster_v1_ServerFrame__Output>;
  /**
   * The stream from a node to another member. First frames: open, then opened or refused.
   */
  connect(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_dmg_cluster_v1_ClientFrame, _dmg_cluster_v1_ServerFrame__Output>;
  connect(options?: grpc.CallOptions): grpc.ClientDuplexStream<_dmg_cluster_v1_ClientFrame, _dmg_cluster_v1_ServerFrame__Output>;
  
  /**
   * Asks a member for the private half of the gateway's credential key.
   */
  FetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  FetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  FetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  FetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Asks a member for the private half of the gateway's credential key.
   */
  fetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  fetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  fetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  fetchCredentialKey(argument: _dmg_cluster_v1_FetchCredentialKeyRequest, callback: grpc.requestCallback<_dmg_cluster_v1_FetchCredentialKeyResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface ClusterHandlers extends grpc.UntypedServiceImplementation {
  /**
   * The stream from a node to another member. First frames: open, then opened or refused.
   */
  Connect: grpc.handleBidiStreamingCall<_dmg_cluster_v1_ClientFrame__Output, _dmg_cluster_v1_ServerFrame>;
  
  /**
   * Asks a member for the private half of the gateway's credential key.
   */
  FetchCredentialKey: grpc.handleUnaryCall<_dmg_cluster_v1_FetchCredentialKeyRequest__Output, _dmg_cluster_v1_FetchCredentialKeyResponse>;
  
}

export interface ClusterDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_dmg_cluster_v1_ClientFrame, _dmg_cluster_v1_ServerFrame, _dmg_cluster_v1_ClientFrame__Output, _dmg_cluster_v1_ServerFrame__Output>
  FetchCredentialKey: MethodDefinition<_dmg_cluster_v1_FetchCredentialKeyRequest, _dmg_cluster_v1_FetchCredentialKeyResponse, _dmg_cluster_v1_FetchCredentialKeyRequest__Output, _dmg_cluster_v1_FetchCredentialKeyResponse__Output>
}
