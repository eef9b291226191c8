"""What Redis runs by itself, in one step each: Lua, so that nothing happens between looking and writing.

Keys, all under one prefix in one hash slot: ``c:<customer>`` and ``h:<household>`` (hash: contact id to its JSON, and
``#v``, which grows with every change), ``o:<offer>``, ``n:<channel>`` and ``n:*`` (sorted sets of contact ids by time),
``due`` (reservations by the time at which they expire), ``k:<contact>`` (hash: where the contact is counted), and
``generation``. Times travel as text, because Lua would round them when it writes them out.
"""

LIBRARY = """
local P = KEYS[1]
local function forget(id)
  local k = redis.call('HMGET', P..'k:'..id, 'customer', 'household', 'offer', 'channel')
  if not k[1] then return end
  redis.call('HDEL', P..'c:'..k[1], id)
  redis.call('HINCRBY', P..'c:'..k[1], '#v', 1)
  if k[2] ~= '' then
    redis.call('HDEL', P..'h:'..k[2], id)
    redis.call('HINCRBY', P..'h:'..k[2], '#v', 1)
  end
  redis.call('ZREM', P..'o:'..k[3], id)
  redis.call('ZREM', P..'n:'..k[4], id)
  redis.call('ZREM', P..'n:*', id)
  redis.call('ZREM', P..'due', id)
  redis.call('DEL', P..'k:'..id)
end
local function count(id, customer, household, offer, channel, at, expires, body)
  redis.call('HSET', P..'k:'..id, 'customer', customer, 'household', household, 'offer', offer, 'channel', channel)
  redis.call('HSET', P..'c:'..customer, id, body)
  redis.call('HINCRBY', P..'c:'..customer, '#v', 1)
  if household ~= '' then
    redis.call('HSET', P..'h:'..household, id, body)
    redis.call('HINCRBY', P..'h:'..household, '#v', 1)
  end
  redis.call('ZADD', P..'o:'..offer, at, id)
  redis.call('ZADD', P..'n:'..channel, at, id)
  redis.call('ZADD', P..'n:*', at, id)
  if expires == '' then redis.call('ZREM', P..'due', id) else redis.call('ZADD', P..'due', expires, id) end
end
local function expire(now)
  while true do
    local late = redis.call('ZRANGEBYSCORE', P..'due', '-inf', now, 'LIMIT', 0, 500)
    if #late == 0 then return end
    for _, id in ipairs(late) do forget(id) end
  end
end
local function total(channels, after, finish)
  local sum = 0
  for name in string.gmatch(channels, '[^\\n]+') do
    sum = sum + redis.call('ZCOUNT', P..'n:'..name, '('..after, finish)
  end
  return sum
end
"""

LOOK = (
    LIBRARY
    + """
local generation = redis.call('GET', P..'generation')
if not generation then return {''} end
local i = 1
local function take() i = i + 1 return ARGV[i - 1] end
expire(take())
local customer, household, start, finish = take(), take(), take(), take()
local offers, totals = {}, {}
for _ = 1, tonumber(take()) do
  local key = P..'o:'..take()
  offers[#offers + 1] = {redis.call('ZCARD', key), redis.call('ZCOUNT', key, start, '('..finish)}
end
for _ = 1, tonumber(take()) do
  local channels = take()
  totals[#totals + 1] = total(channels, take(), '+inf')
end
local ours = {}
if household ~= '' then ours = redis.call('HGETALL', P..'h:'..household) end
return {generation, redis.call('HGETALL', P..'c:'..customer), ours, offers, totals}
"""
)
"""now, customer, household, start and end of the day, n, offer…, n, (channels, after)… →
generation, the customer's hash, the household's, (ever, today) per offer, count per total."""

RESERVE = (
    LIBRARY
    + """
local i = 1
local function take() i = i + 1 return ARGV[i - 1] end
if redis.call('GET', P..'generation') ~= take() then return 'lost' end
expire(take())
local customer, version, household, ours = take(), take(), take(), take()
local start, finish, wanted = take(), take(), tonumber(take())
local function moved(seen, is, limit)
  if limit == '' or seen == is then return false end
  limit = tonumber(limit)
  if seen + wanted <= limit and is + wanted <= limit then return false end
  return not (seen >= limit and is >= limit)
end
local guards = tonumber(take())
local verdict = 'reserved'
for _ = 1, guards do
  local key, ever, today = P..'o:'..take(), tonumber(take()), tonumber(take())
  local most, daily = take(), take()
  if moved(ever, redis.call('ZCARD', key), most)
    or moved(today, redis.call('ZCOUNT', key, start, '('..finish), daily) then verdict = 'moved' end
end
for _ = 1, tonumber(take()) do
  local channels, after, finish, seen = take(), take(), take(), tonumber(take())
  if moved(seen, total(channels, after, finish), take()) then verdict = 'moved' end
end
if redis.call('EXISTS', P..'k:'..ARGV[i]) == 1 then return 'reserved' end
if (redis.call('HGET', P..'c:'..customer, '#v') or '0') ~= version then return 'moved' end
if household ~= '' and (redis.call('HGET', P..'h:'..household, '#v') or '0') ~= ours then return 'moved' end
if verdict == 'moved' then return verdict end
for _ = 1, wanted do count(take(), take(), take(), take(), take(), take(), take(), take()) end
return verdict
"""
)
"""generation, now, customer and version, household and version, start and end of the day, n contacts, n guards,
(offer, ever, today, limit, daily limit)…, n totals, (channels, after, until, seen, limit)…, contacts of eight fields
each → ``reserved``, ``moved`` or ``lost``."""

APPLY = (
    LIBRARY
    + """
local i = 1
local function take() i = i + 1 return ARGV[i - 1] end
local generation = take()
if generation ~= '' and redis.call('GET', P..'generation') ~= generation then return 'lost' end
while i <= #ARGV do
  if take() == '1' then count(take(), take(), take(), take(), take(), take(), take(), take()) else forget(take()) end
end
return 'applied'
"""
)
"""generation (empty while the store is filled), then per contact ``1`` and its eight fields, or ``0`` and its id."""
