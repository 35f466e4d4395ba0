import { connectorContract } from '@dmg/connector-testkit';
import { fileFixture } from './testing/file-fixture.ts';

connectorContract({ name: 'file', makeFixture: fileFixture });
