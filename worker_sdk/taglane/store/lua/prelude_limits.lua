-- The prelude's part for limits: what a tenant may have now. Its limits stand in a hash outside of its own prefix, which it
-- reads and the operator writes; what they are measured against is counted from what is there, never by a counter: so
-- nothing of it can leak.

-- A pace is GCRA: `key` holds until when, ms, what has passed already uses it up. `rate` is how many a second, `burst`
-- how many at once after a pause. What is used up for longer than a burst takes was so at a lower rate, or by another
-- clock: then one may pass at once, and the others from there on.
local function used_up(key, t, gap, burst)
    local used = tonumber(redis.call('GET', key) or '') or t
    if used > t + (burst + 1) * gap then
        return t + (burst - 1) * gap
    end
    return math.max(t, used)
end

local function burst_of(rate, burst) return math.max(1, burst or math.floor(rate)) end

-- Returns how many may pass now, and in how many ms one more may.
local function may_pass(key, t, rate, burst)
    local gap, most = 1000 / rate, burst_of(rate, burst)
    local left = (t + most * gap - used_up(key, t, gap, most)) / gap
    return math.max(0, math.floor(left + 1e-6)), math.max(1, math.ceil((1 - left) * gap))
end

local function pass(key, t, rate, count, burst)
    if count > 0 then
        local gap = 1000 / rate
        local used = used_up(key, t, gap, burst_of(rate, burst)) + count * gap
        redis.call('SET', key, string.format('%.3f', used), 'PX', int(math.ceil(used - t) + 1000))
    end
end

-- How many of a tenant's runs wait: every run that is kept, but those that have ended and those that a worker holds.
local function count_waiting(P)
    return redis.call('ZCARD', runs_key(P)) - redis.call('ZCARD', ended_key(P)) - redis.call('ZCARD', dead_key(P))
        - redis.call('ZCARD', leases_key(P))
end

-- When there may be room for `more` runs, in ms, as fast as runs have ended of late.
local function room_in(P, t, more)
    local ended = redis.call('ZCOUNT', ended_key(P), int(t - 10000), '+inf')
    return int(ended == 0 and 10000 or math.max(100, math.min(60000, math.ceil(10000 * more / ended))))
end

local function tenant_of(P) return string.sub(P, 10, -3) end

-- The error to answer with when `size` bytes of params are more than the tenant may send, which are `most`.
local function too_large(P, size, most)
    most = tonumber(most or '')
    if most and size > most then
        if booked then -- a put books nothing
            book(nil, 'hit:payload')
        end
        return redis.error_reply('TOOLARGE ' .. tenant_of(P) .. ' ' .. int(size) .. ' ' .. int(most))
    end
    return nil
end

-- What a tenant's limits say of `count` new runs, the largest of them of `size` bytes: nil when they may be made, else
-- the error to answer with. `count_new` tells how many of them are really new; it is asked only where that matters.
local function refusal(P, t, count, size, count_new)
    local f = redis.call('HMGET', limits_key(P), 'state', 'queued', 'payload')
    if f[1] == 'draining' and count_new() > 0 then
        book(nil, 'hit:draining')
        return redis.error_reply('DRAINING ' .. tenant_of(P))
    end
    local most = tonumber(f[2] or '')
    local waiting = most and count_waiting(P)
    if most and waiting + count > most then
        count = count_new()
        if count > 0 and waiting + count > most then
            book(nil, 'hit:queued')
            return redis.error_reply(table.concat({'QUEUEFULL', tenant_of(P), int(most), int(waiting),
                room_in(P, t, waiting + count - most)}, ' '))
        end
    end
    return too_large(P, size, f[3])
end

-- How many due instants may be fired now, `most` of them, and in how many ms there is something to do again if that is
-- none of them. A tenant that is paused, or drains, fires nothing until it is told to go on.
local function may_fire(P, t, most)
    local f = redis.call('HMGET', limits_key(P), 'state', 'fires', 'queued')
    if f[1] == 'paused' or f[1] == 'draining' then
        return 0, nil
    end
    local wait = 1000
    local rate, queued = tonumber(f[2] or ''), tonumber(f[3] or '')
    if rate then
        local count
        count, wait = may_pass(fires_key(P), t, rate)
        most = math.min(most, count)
    end
    if queued and most > 0 then
        most, wait = math.min(most, queued - count_waiting(P)), 1000
    end
    return math.max(0, most), wait, rate
end
