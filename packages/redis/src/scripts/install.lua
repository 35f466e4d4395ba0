--[[
  Makes an epoch the one whose writes are accepted.

  KEYS[1]  lead    hash {n, token, node, address}, no expiry
  KEYS[2]  life    random id of the data set, no expiry
  ARGV[1]  n       number of the epoch, decimal
  ARGV[2]  token   random token of the grant
  ARGV[3]  node    id of the node that is granted the role
  ARGV[4]  address where that node can be reached; a hint, never an authority
  ARGV[5]  life    id for the data set if it has none yet

  Returns {'OK'}, or {'BEHIND', n} when an epoch at least as large is installed by another grant.

  Why atomic: of two grants that read the same n only one may install n + 1; the other has to see it and go higher.
]]
local current = redis.call('HMGET', KEYS[1], 'n', 'token')
if current[1] and tonumber(current[1]) >= tonumber(ARGV[1]) and current[2] ~= ARGV[2] then
  return { 'BEHIND', current[1] }
end
redis.call('HSET', KEYS[1], 'n', ARGV[1], 'token', ARGV[2], 'node', ARGV[3], 'address', ARGV[4])
redis.call('SET', KEYS[2], ARGV[5], 'NX')
return { 'OK' }
