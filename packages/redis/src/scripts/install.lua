--[[
  Makes an epoch the one whose writes are accepted.

  KEYS[1]  lease   token of the holder, with an expiry
  KEYS[2]  lead    hash {n, token, node, address, beat}, no expiry
  KEYS[3]  life    random id of the data set, no expiry
  ARGV[1]  token   random token of the grant
  ARGV[2]  n       number of the epoch, decimal
  ARGV[3]  node    id of the node that is granted the role
  ARGV[4]  address where that node can be reached; a hint, never an authority
  ARGV[5]  life    id for the data set if it has none yet

  Returns {'OK', life}; {'LOST'} when the lease is not that of the grant; {'BEHIND', n} when an epoch at least as large is installed
  by another grant, or a larger one by the same: an install that was held up on its way must not undo a later one.

  Why atomic: of two grants that read the same n only one may install n + 1; the other has to see it and go higher.
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'LOST' }
end
local lead = redis.call('HMGET', KEYS[2], 'n', 'token')
if lead[1] then
  local installed, wanted = tonumber(lead[1]), tonumber(ARGV[2])
  if installed > wanted or (installed == wanted and lead[2] ~= ARGV[1]) then
    return { 'BEHIND', lead[1] }
  end
end
redis.call('HSET', KEYS[2], 'n', ARGV[2], 'token', ARGV[1], 'node', ARGV[3], 'address', ARGV[4], 'beat', '0')
redis.call('SET', KEYS[3], ARGV[5], 'NX')
return { 'OK', redis.call('GET', KEYS[3]) }
