--[[
  Reads what a candidate for the dispatcher's role must know.

  KEYS[1]  lease   token of the holder, with an expiry
  KEYS[2]  lead    hash {n, token, node, address, beat}: the grant that was installed last
  KEYS[3]  life    random id of the data set

  Returns {lease, n, token, node, address, beat, life}, each as text, '' for what is not there.

  Why atomic: a lease of one moment beside a beat of another would make a living holder look stuck.
]]
local lead = redis.call('HMGET', KEYS[2], 'n', 'token', 'node', 'address', 'beat')
for field = 1, 5 do
  lead[field] = lead[field] or ''
end
return { redis.call('GET', KEYS[1]) or '', lead[1], lead[2], lead[3], lead[4], lead[5], redis.call('GET', KEYS[3]) or '' }
