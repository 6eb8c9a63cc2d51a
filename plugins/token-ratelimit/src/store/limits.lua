-- Settles what is over, then checks and reserves; all or nothing. ARGV[1] is JSON:
--   e      a number to be repeated: Webdis may mix answers up when a client has given up
--   w, n   who settles, and the number of the batch: one that was applied already is left out
--   ttl    milliseconds after which a lease is taken to be forgotten
--   s      what is over: k the lease's key (0: none), r when it was reserved (0: nobody knows), a rows of
--          {key, kind, limit, seconds, offset, burst, actual, reserved (-1: nothing)}
--   k      the lease's key
--   c      what is asked: rows of {mode, key, kind, limit, amount, seconds, offset, burst, mark...}
--   g      models of forecasts to be kept: rows of {key, hour, numbers with commas between, the hour first}
--   f, z   keys of models that are wanted, and how many numbers each has
-- Keys are numbers of KEYS. Kinds: 0 fixed window, 1 sliding window, 2 bucket, 3 places. Seconds: -1 a
-- week, -2 a month. Modes: 0 reserve if there is room, 1 reserve in any case, 2 look, 3 reset, 4 top up.
-- Answers {now, ok, number of the last batch, e as it was sent, then for each row: used, limit, seconds until all is there
-- again, full, seconds to wait, marks that are newly passed, all that was ever settled; then each model that
-- is wanted, 0 throughout if there is none}.
local p = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

-- Days since 1970-01-01, and back (howardhinnant.github.io/date_algorithms.html).
local function first_of(y, m)
  if m <= 2 then y = y - 1 end
  local era = floor(y / 400)
  local year = y - era * 400
  local day = floor((153 * ((m + 9) % 12) + 2) / 5)
  return era * 146097 + year * 365 + floor(year / 4) - floor(year / 100) + day - 719468
end
local function month_of(days)
  local z = days + 719468
  local era = floor(z / 146097)
  local d = z - era * 146097
  local y = floor((d - floor(d / 1460) + floor(d / 36524) - floor(d / 146096)) / 365)
  local day = d - (365 * y + floor(y / 4) - floor(y / 100))
  local part = floor((5 * day + 2) / 153)
  local m = part < 10 and part + 3 or part - 9
  y = y + era * 400
  if m <= 2 then y = y + 1 end
  return y, m
end

-- Offsets are seconds east of Greenwich, or where the clock is changed an array: the first offset, then each
-- second at which another begins and that one.
local function offset_at(second, offset)
  if type(offset) ~= 'table' then return offset end
  local x = offset[1]
  for i = 2, #offset, 2 do
    if second >= offset[i] then x = offset[i + 1] end
  end
  return x
end
-- When clocks first show a time; where they never do, when they would have.
local function utc(l, offset)
  if type(offset) ~= 'table' then return l - offset end
  local first, low
  for i = 1, #offset, 2 do
    local t = l - offset[i]
    if offset_at(t, offset) == offset[i] then first = min(first or t, t) end
    low = min(low or offset[i], offset[i])
  end
  return first or l - low
end

-- When the window that a second is in begins and ends.
local function window(second, length, offset)
  local l = second + offset_at(second, offset)
  local from, to
  if length > 0 and length % 86400 ~= 0 then
    local fixed = offset
    if type(offset) == 'table' then fixed = min(offset[1], offset[3]) end
    from = floor((second + fixed) / length) * length - fixed
    return from, from + length
  elseif length > 0 then
    from = floor(l / length) * length
    to = from + length
  elseif length == -1 then
    local day = floor(l / 86400)
    from = (day - (day + 3) % 7) * 86400
    to = from + 604800
  else
    local y, m = month_of(floor(l / 86400))
    from = first_of(y, m) * 86400
    if m == 12 then y, m = y + 1, 0 end
    to = first_of(y, m + 1) * 86400
  end
  return utc(from, offset), utc(to, offset)
end

local function before(since, length, offset)
  local from = window(since - 1, length, offset)
  return from
end

-- t since, u used, p used before, x added to the limit, m marks passed, c all ever settled
local function account(key, kind, limit, length, offset)
  local v = redis.call('HMGET', key, 't', 'u', 'p', 'x', 'm', 'c')
  local a = {}
  for i, name in ipairs({'t', 'u', 'p', 'x', 'm', 'c'}) do a[name] = tonumber(v[i] or 0) or 0 end
  if kind == 2 then
    if a.t == 0 then a.t = now end
    local passed = max(0, now - a.t)
    local whole = max(1, length) * 1000
    local flown = floor(passed * limit / whole)
    if flown > 0 then
      a.u = max(0, a.u - flown)
      a.t = a.t + min(passed, floor(flown * whole / max(1, limit)))
    end
  else
    local from, to = window(floor(now / 1000), length, offset)
    if from > a.t then
      a.p = a.t == before(from, length, offset) and a.u or 0
      a.u, a.x, a.m, a.t = 0, 0, 0, from
    end
    a.from, a.to = from, to
  end
  return a
end

local function flow(amount, limit, length)
  return ceil(ceil(amount * length * 1000 / max(1, limit)) / 1000)
end

local function save(key, a, kind, limit, length)
  local n = function(x) return string.format('%.0f', x) end
  redis.call('HSET', key, 't', n(a.t), 'u', n(a.u), 'p', n(a.p), 'x', n(a.x), 'm', n(a.m), 'c', n(a.c))
  local keep
  if kind == 2 then
    keep = flow(a.u, limit, length) * 1000 + p.ttl
  else
    keep = (a.to - a.from + a.to) * 1000 - now + p.ttl
  end
  redis.call('PEXPIRE', key, n(max(1000, keep)))
end

local batch = 0
if p.w then
  batch = tonumber(redis.call('GET', KEYS[p.w]) or 0) or 0
  if p.n > batch then
    for _, s in ipairs(p.s) do
      local lease = s.k > 0 and redis.call('GET', KEYS[s.k])
      local since = {}
      if lease then
        for x in string.gmatch(lease, '[^,]+') do since[#since + 1] = tonumber(x) end
        redis.call('DEL', KEYS[s.k])
      end
      -- A check that was given up may still come: it must not reserve what nobody would settle.
      if not lease and s.r == 0 and s.k > 0 then redis.call('SET', KEYS[s.k], 'over', 'PX', 600000) end
      local late = not lease and s.r > 0 and now - s.r > p.ttl
      local held = 0
      for _, row in ipairs(s.a) do
        local key, kind, limit, length, offset = KEYS[row[1]], row[2], row[3], row[4], row[5]
        local actual, reserved = row[7], row[8]
        if reserved >= 0 then held = held + 1 end
        if kind == 3 then
          redis.call('ZREM', key, s.k > 0 and KEYS[s.k] or '')
        else
          local a = account(key, kind, limit, length, offset)
          local add = actual
          local at = a.t
          if reserved >= 0 and (lease or late) then
            add = actual - reserved
            if kind ~= 2 then at = since[held] or window(floor(s.r / 1000), length, offset) end
          end
          if kind == 2 or at == a.t then
            a.u = max(0, a.u + add)
          elseif at == before(a.t, length, offset) then
            a.p = max(0, a.p + add)
          end
          a.c = a.c + actual
          save(key, a, kind, limit, length)
        end
      end
    end
    batch = p.n
    redis.call('SET', KEYS[p.w], string.format('%.0f', batch), 'EX', 604800)
  end
end

local over = p.k and redis.call('EXISTS', KEYS[p.k]) == 1
local ok = 1
local rows = {}
for i, q in ipairs(p.c) do
  local mode, key, kind, limit, amount = q[1], KEYS[q[2]], q[3], q[4], q[5]
  local length, offset, burst = q[6], q[7], q[8]
  local r = {limit = limit, reset = 0, wait = 1}
  if mode == 3 then redis.call('DEL', key) end
  if kind == 3 then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    r.used = redis.call('ZCARD', key)
  else
    local a = account(key, kind, limit, length, offset)
    if mode == 4 then a.x = a.x + amount end
    r.a = a
    r.used = a.u
    if kind == 2 then
      r.limit = burst + a.x
      r.reset = flow(a.u, limit, length)
      r.wait = max(1, flow(a.u + amount - r.limit, limit, length))
    else
      r.limit = limit + a.x
      local second = floor(now / 1000)
      r.reset = a.to - second
      r.wait = max(1, r.reset)
      if kind == 1 then
        local whole = (a.to - a.from) * 1000
        r.used = a.u + ceil(a.p * min(whole, a.to * 1000 - now) / whole)
        if a.p > 0 and a.u + amount <= r.limit then
          local keep = floor((r.limit - a.u - amount) * (a.to - a.from) / a.p)
          r.wait = max(1, min(r.reset, a.to - keep - second))
        end
      end
    end
  end
  r.full = mode < 2 and r.used + amount > r.limit
  if r.full and mode == 0 then ok = 0 end
  rows[i] = r
end

local out = {now, ok, batch, p.e}
local since = {}
for i, q in ipairs(p.c) do
  local mode, key, kind, amount = q[1], KEYS[q[2]], q[3], q[5]
  local r, passed = rows[i], 0
  if ok == 1 and not over and mode ~= 2 and mode ~= 3 then
    if kind == 3 then
      if mode < 2 and amount > 0 then
        redis.call('ZADD', key, now + p.ttl, KEYS[p.k])
        redis.call('PEXPIRE', key, p.ttl)
        since[#since + 1] = '0'
      elseif mode < 2 then
        since[#since + 1] = '0'
      end
    else
      if mode < 2 then
        r.a.u = r.a.u + amount
        since[#since + 1] = string.format('%.0f', r.a.t)
      end
      for m = 9, #q do
        if r.used + amount >= q[m] and r.a.m < m - 8 then passed = m - 8 end
      end
      r.a.m = max(r.a.m, passed)
      if kind == 2 then r.reset = flow(r.a.u, q[4], q[6]) end
      save(key, r.a, kind, q[4], q[6])
    end
    if mode < 2 then r.used = r.used + amount end
  end
  for _, x in ipairs({r.used, r.limit, r.reset, r.full and 1 or 0, r.wait, passed, r.a and r.a.c or 0}) do
    out[#out + 1] = x
  end
end
if #since > 0 then
  redis.call('SET', KEYS[p.k], table.concat(since, ','), 'PX', p.ttl)
end
for _, g in ipairs(p.g or {}) do
  local kept = string.match(redis.call('GET', KEYS[g[1]]) or '', '^%d+')
  -- 90 days: longer than any window, and a spare.
  if (tonumber(kept) or 0) <= g[2] then redis.call('SET', KEYS[g[1]], g[3], 'PX', 7776000000) end
end
for _, key in ipairs(p.f or {}) do
  local n = #out + p.z
  for x in string.gmatch(redis.call('GET', KEYS[key]) or '', '%d+') do
    if #out < n then out[#out + 1] = tonumber(x) end
  end
  while #out < n do out[#out + 1] = 0 end
end
return out
