-- drop: delete a dead letter for good.
--
-- One that was replayed is no dead letter any more: it is history, and the link from the run that replays it holds.
--
-- One whose run is gone, or is something else than a hash, can be dropped, too.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 id
-- Writes run, log, runs, dead. Returns 1, or 0 when there is no such dead letter (any more).
local function drop(keys, args)
    local P, id = keys[1], args[1]
    local state = try(P, nil, redis.call, 'HGET', run_key(P, id), 'state')
    if (state and state ~= 'dead') or redis.call('ZREM', dead_key(P), id) == 0 then
        return 0
    end
    redis.call('ZREM', runs_key(P), id)
    redis.call('DEL', run_key(P, id), log_key(P, id))
    return 1
end

redis.register_function{function_name = 'taglane_drop', callback = drop, flags = {'allow-oom'}}
