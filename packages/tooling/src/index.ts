export { findBoundaryViolations, findManifestViolations, type ImportEdge, type ImportGraph, readImportGraph } from './boundaries.ts';
export { runTests, type TestRunOptions } from './test-run.ts';
export { type TidyRule, tidyRules } from './tidy-rules.ts';
