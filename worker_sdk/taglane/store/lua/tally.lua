-- tally: what a tenant's books of a day have counted, for who adds it up from day to day.
--
-- The books are their tenant's, who may have written anything into them: what is no number of at most fifteen digits is
-- absent.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 the day that was read last, YYYYMMDD; '' for none
-- Reads ledger; writes nothing. Returns the server's day; what was counted on it, each as what and how often; likewise
-- of the day read last, empty when it is the same.
local COUNTED = {'made', 'succeeded', 'failed', 'cancelled', 'expired', 'dead', 'fired', 'skipped', 'missed', 'triggered',
    'replayed', 'retried', 'died', 'ms', 'sum:wait', 'sum:late', 'hit:queued', 'hit:payload', 'hit:draining', 'hit:running',
    'hit:rate', 'hit:fires'}
for n = 0, 43 do
    local size = #COUNTED
    COUNTED[size + 1], COUNTED[size + 2], COUNTED[size + 3] = 'wait:' .. n, 'late:' .. n, 'ran:' .. n
end

local function counted(P, day)
    local found = {}
    if redis.call('EXISTS', ledger_key(P, day)) == 0 then -- as of most of very many tenants
        return found
    end
    for i, times in ipairs(redis.call('HMGET', ledger_key(P, day), unpack(COUNTED))) do
        if times and #times <= 15 and tonumber(times) then
            found[#found + 1], found[#found + 2] = COUNTED[i], times
        end
    end
    return found
end

local function tally(keys, args)
    local P, day = keys[1], date_of(math.floor(now() / 86400000))
    local before = args[1] ~= '' and args[1] ~= day and try(P, nil, counted, P, args[1]) or {}
    return {day, try(P, nil, counted, P, day) or {}, before}
end

redis.register_function{function_name = 'taglane_tally', callback = tally, flags = {'no-writes'}}
