/** First key of the advisory locks under which tables are made: `dmg` in ASCII. The second is a hash of what is made. */
export const lockClass = 0x646d67;
