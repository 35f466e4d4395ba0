export { postgresqlErrors } from './errors.ts';
export { postgresqlConnector } from './postgresql-connector.ts';
export { postgresqlSpec } from './spec.ts';
