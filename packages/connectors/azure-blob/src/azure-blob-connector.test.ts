import { after, before } from 'node:test';
import { connectorContract } from '@dmg/connector-testkit';
import { type Azurite, startAzurite } from './testing/azurite.ts';
import { blobFixture } from './testing/blob-fixture.ts';

let azurite: Azurite;
before(async () => {
  azurite = await startAzurite();
});
after(() => azurite.stop());

connectorContract({ name: 'azure-blob', makeFixture: () => blobFixture(azurite) });
