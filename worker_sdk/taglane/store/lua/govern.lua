-- govern: write a tenant's limits, and whether it is paused or drains; in force from its next call.
--
-- Who waits because of what was in force is woken, and sees what is in force now: the workers of every tag, and the
-- schedulers.
--
-- KEYS  1 the tenant's prefix
-- ARGV  two a field: its name, its value, '' for none
-- Reads tags; writes limits, capped, pacer; rings tags, publishes wake, pool. Returns 1.
local function govern(keys, args)
    local P = keys[1]
    for i = 1, #args, 2 do
        if args[i + 1] == '' then
            redis.call('HDEL', limits_key(P), args[i])
        else
            redis.call('HSET', limits_key(P), args[i], args[i + 1])
        end
    end
    redis.call('DEL', pacer_key(P), capped_key(P))
    for _, tag in ipairs(try(P, nil, redis.call, 'SRANDMEMBER', tags_key(P), MOST) or {}) do
        if is_shared(tag) then
            redis.call('PUBLISH', pool_channel(P), tag)
        else
            try(P, nil, ring, P, tag)
        end
    end
    redis.call('PUBLISH', wake_channel(P), '0')
    return 1
end

redis.register_function{function_name = 'taglane_govern', callback = govern, flags = {'allow-oom'}}
