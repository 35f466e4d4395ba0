import { defineErrors } from '@dmg/base';

/** No message holds a key, a token or a secret, nor any part of one. */
export const securityErrors = defineErrors('SECURITY', {
  KEY_MALFORMED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot read the gateway key: {reason}.',
    fix: 'Copy the whole key again from the gateway (listAuthKeys, or `dmg gateway keys`); it is one line that starts with DMG@.',
  },
  CA_MISMATCH: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot trust {endpoint}: it presents another certificate authority than the one that the gateway key names.',
    fix: 'Somebody may be between this machine and the control plane (a proxy that opens TLS, or an attacker), '
      + 'or the key is of another control plane. Take a fresh key and connect without such a proxy.',
  },
  CA_NOT_PRESENTED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot trust {endpoint}: it did not present a certificate chain with its authority ({reason}).',
    fix: 'Check that the address in the key is the control plane itself and not another HTTPS server.',
  },
  ENDPOINT_UNREACHABLE: {
    category: 'transient', retry: 'backoff', scope: 'node',
    message: 'Cannot reach the control plane at {endpoint}: {reason}.',
    fix: 'Check that it is running, that the address is right and that this machine may connect to it outbound.',
  },
  BAD_SIGNATURE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot accept the {what}: {reason}.',
    fix: 'Only the control plane that this node is registered with may command it. '
      + 'If that control plane was made anew, register the node again.',
  },
  SECRET_NOT_FOR_US: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot decrypt a credential: it was encrypted for another key, or was changed on its way.',
    fix: 'Save the linked service again, so that its secret is encrypted for the key this gateway has now.',
  },
  CREDENTIAL_KEY_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use the credential key: {reason}.',
    fix: 'Give an elliptic curve P-256 key as JWK, as the node makes it at its first start.',
  },
  CERTIFICATE_REQUEST_REFUSED: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot certify the node: its certificate request is refused, because {reason}.',
    fix: 'The node makes it by itself: a P-256 key and a PKCS #10 request signed with it. Update the node; if it stays, '
      + 'remove its node key from its state folder and register it again.',
  },
  CERTIFICATE_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot read a certificate: it is damaged, or none of a node.',
    fix: 'Register the node again, so that it gets a fresh certificate.',
  },
  NODE_KEY_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: "Cannot use the node's key: it is not a P-256 private key in PKCS #8.",
    fix: 'Remove the damaged file from the state folder of the node and register it again: it makes a new one.',
  },
  WRAPPED_FOR_ANOTHER: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot open what a peer sent: it was wrapped for another key, or was changed on its way.',
    fix: 'It is asked for again with the certificate that the node has now. If it stays, register the node again.',
  },
  SEAL_BROKEN: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot open the stored secret of {what}: it was sealed under another master secret, or was changed.',
    fix: 'Start the control plane with the master secret it had when the secret was saved, or save the linked service again.',
  },
  MASTER_SECRET_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use the master secret: {reason}.',
    fix: 'Give 32 bytes in base64url (43 characters), as the file master-secret in the state folder holds them.',
  },
  FILE_UNUSABLE: {
    category: 'config', retry: 'never', scope: 'node',
    message: 'Cannot use {path}: {reason}.',
    fix: '{remedy}',
  },
});
