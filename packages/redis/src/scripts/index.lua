--[[
  Says which records there are.

  KEYS[1]  life     random id of the data set
  KEYS[2]  index    hash {id: 'epochN.version'} of all records

  Returns {life or '', JSON array of id, order, id, order, …}. As one text, because a client that decodes thousands of short strings
  one by one takes tens of milliseconds, which a gateway without a dispatcher would wait for.
]]
local index = redis.call('HGETALL', KEYS[2])
return { redis.call('GET', KEYS[1]) or '', #index == 0 and '[]' or cjson.encode(index) }
