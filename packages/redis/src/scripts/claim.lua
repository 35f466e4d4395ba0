--[[
  Reads the number above which the holder of the lease has to install its epoch.

  KEYS[1]  lease   token of the holder, with an expiry
  KEYS[2]  lead    hash {n, token, node, address, beat}: the grant that was installed last
  KEYS[3]  life    random id of the data set
  ARGV[1]  token   random token of the grant

  Returns {'OK', n, life}: the installed number ('0': none) and the id of the data set ('': none); {'LOST'} when the lease is not
  that of the grant.

  Why atomic: a number that is read after the lease went to somebody else may be his, and would be raised in vain.
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'LOST' }
end
return { 'OK', redis.call('HGET', KEYS[2], 'n') or '0', redis.call('GET', KEYS[3]) or '' }
