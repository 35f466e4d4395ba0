export { protocolErrors } from './errors.ts';
export type { CredentialKeyGiver } from './cluster-server.ts';
export { Mesh, type MeshOptions, type Peer } from './mesh.ts';
export { isLoopback } from './node-address.ts';
export type { MeshIdentity } from './node-certificate.ts';
export type { ClusterEncryption } from './peer-listener.ts';
export { type ProtocolRange, protocolVersion, spokenVersions } from './protocol-versions.ts';
export { defaultStreamTimes, type StreamTimes } from './stream-times.ts';
