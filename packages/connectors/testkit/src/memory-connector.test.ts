import { connectorContract } from './contract/contract.ts';
import { memoryFixture } from './contract/memory-fixture.ts';

connectorContract({ name: 'memory', makeFixture: () => memoryFixture() });
