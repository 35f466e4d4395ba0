export { fileErrors, fromFileError } from './errors.ts';
export { fileConnector } from './file-connector.ts';
export { fileSpec } from './spec.ts';
export { findStoreId, localRootsOf, storeIdPath } from './store-id.ts';
