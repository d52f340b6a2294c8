-- cancel: end a run that waits, or ask the worker that holds it to stop it. expire: end what waited for too long.
--
-- A cancelled id stays in its queue's list until a fetch drops it: finding it there would cost O(queue).
--
-- KEYS  1 the tenant's prefix
-- ARGV  cancel: 1 id  2 why; expire: none
-- Writes run, delayed, ended, cancels, queue. Returns 'missing', 'ended', 'cancelled' or 'asked' (cancel), how many (expire).

local function cancel(keys, args)
    local P, t = keys[1], now()
    local run = load_run(P, args[1])
    if not run then
        return 'missing'
    end
    if ENDED[run.state] then
        return 'ended'
    end
    if run.holder and redis.call('ZSCORE', leases_key(P), run.id) then
        redis.call('SADD', cancels_key(P, run.holder), run.id)
        redis.call('HSET', run_key(P, run.id), 'cancel', args[2])
        return 'asked'
    end
    redis.call('ZREM', delayed_key(P, run.tag), run.id)
    end_run(P, t, run, 'cancelled', {'error', args[2]})
    local tally = {}
    tell(tally, run.job, 'cancelled')
    enter(P, t, tally)
    return 'cancelled'
end

local function expire(keys)
    local P, t, count, tally = keys[1], now(), 0, {}
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiring_key(P), '-inf', int(t), 'LIMIT', 0, 256)) do
        redis.call('ZREM', expiring_key(P), id)
        local run = load_run(P, id)
        if run and not ENDED[run.state] and not redis.call('ZSCORE', leases_key(P), id) then
            redis.call('ZREM', delayed_key(P, run.tag), id)
            end_run(P, t, run, 'expired', {})
            tell(tally, run.job, 'expired')
            count = count + 1
        end
    end
    enter(P, t, tally)
    return count
end

redis.register_function{function_name = 'taglane_cancel', callback = cancel, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_expire', callback = expire, flags = {'allow-oom'}}
