export { ensureServerIdentity, fingerprintOf, type ServerIdentity } from './certificate-authority.ts';
export {
  createCredentialKeyPair, credentialKeyId, type CredentialKeyPair, decryptSecret, encryptSecret,
} from './credential-envelope.ts';
export { securityErrors } from './errors.ts';
export {
  deriveGatewayKeySecret, formatGatewayKey, type GatewayKey, type GatewayKeyName, gatewayKeyNames, gatewayKeySecretMatches,
  hashGatewayKeySecret, parseGatewayKey,
} from './gateway-key.ts';
export { unwrapWithKey, wrapForKey } from './key-wrapping.ts';
export { loadMasterSecret, MasterSecret } from './master-secret.ts';
export {
  certificateTimes, type CertifiedNode, createCertificateRequest, createGatewayCa, createNodeKeyPair, type GatewayCa, issueNodeCertificate,
  type NodeCertificateOptions, nodeHostName, nodeOfCertificate,
} from './node-certificates.ts';
export { fetchPinnedCa, type PinOptions } from './pinned-ca.ts';
export { openSealedSecret, type SealContext, sealSecret } from './sealing.ts';
export { createKeptFileOnce, readKeptFile, writeKeptFile } from './secret-file.ts';
export { createSigningKey, signDesiredState, type SigningKey, signJob, type Trust, verifyDesiredState, verifyJob } from './signatures.ts';
export { hashToken, newToken, tokenMatches } from './tokens.ts';
