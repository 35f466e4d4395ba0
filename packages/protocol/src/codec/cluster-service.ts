import { readFileSync } from 'node:fs';
import { type Client, loadPackageDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import type { ProtoGrpcType } from '../generated/cluster.ts';
import type { ClusterClient, ClusterDefinition } from '../generated/dmg/cluster/v1/Cluster.ts';
import { protoLoaderOptions } from '../proto-loader-options.ts';

type Descriptor = Parameters<typeof fromJSON>[0];

const descriptor = JSON.parse(readFileSync(new URL('../generated/descriptor.json', import.meta.url), 'utf8')) as Descriptor;
/** Types and descriptor are generated from the same contract; a test regenerates both and compares. */
const loaded = loadPackageDefinition(fromJSON(descriptor, protoLoaderOptions)) as unknown as ProtoGrpcType;
const { Cluster } = loaded.dmg.cluster.v1;

/** The service as grpc-js sees it: paths, and how each message becomes bytes. */
export const clusterService: ClusterDefinition = Cluster.service;

/** Makes calls of the service, on a channel of its own. */
export const ClusterCaller: new (...args: ConstructorParameters<typeof Client>) => ClusterClient = Cluster;
