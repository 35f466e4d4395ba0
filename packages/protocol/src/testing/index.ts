export { startTestNodes, testEpoch, testFacts, testGatewayId, TestNode, type TestNodeOptions, testRequest } from './mesh-node.ts';
