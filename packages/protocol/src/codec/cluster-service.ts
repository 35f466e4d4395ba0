import { readFileSync } from 'node:fs';
import { type Client, loadPackageDefinition, makeClientConstructor } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import type { ProtoGrpcType } from '../generated/cluster.ts';
import type { ClusterClient, ClusterDefinition } from '../generated/dmg/cluster/v1/Cluster.ts';
import { protoLoaderOptions } from '../proto-loader-options.ts';
import { deserializeRepeated, serializeRepeated } from './repeated-frames.ts';

type Descriptor = Parameters<typeof fromJSON>[0];

const descriptor = JSON.parse(readFileSync(new URL('../generated/descriptor.json', import.meta.url), 'utf8')) as Descriptor;
/** Types and descriptor are generated from the same contract; a test regenerates both and compares. */
const loaded = loadPackageDefinition(fromJSON(descriptor, protoLoaderOptions)) as unknown as ProtoGrpcType;
const { service } = loaded.dmg.cluster.v1.Cluster;
const { Connect } = service;

/** The service as grpc-js sees it: paths, and how each message becomes bytes. */
export const clusterService: ClusterDefinition = {
  ...service,
  Connect: {
    ...Connect,
    requestSerialize: serializeRepeated(Connect.requestSerialize),
    requestDeserialize: deserializeRepeated(Connect.requestDeserialize),
    responseSerialize: serializeRepeated(Connect.responseSerialize),
    responseDeserialize: deserializeRepeated(Connect.responseDeserialize),
  },
};

/** Makes calls of the service, on a channel of its own. */
export const ClusterCaller = makeClientConstructor(clusterService, 'Cluster') as unknown as new (
  ...args: ConstructorParameters<typeof Client>
) => ClusterClient;
