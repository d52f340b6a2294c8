-- retry: end a run's lease and let it wait for its next attempt, in one step.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 id  2 token  3 at: '' now, '+ms' from now, 'ms' then  4 envelope of the next attempt  5 why, JSON, '' for none
-- Writes run, leases, held, delayed or queue; rings the tag. Returns 1, or 0 when the run is not this worker's any more.
local function retry(keys, args)
    local P, t = keys[1], now()
    local run = load_run(P, args[1])
    if not run or ENDED[run.state] or run.token ~= args[2] then
        return 0
    end
    release(P, run)
    local at = instant(t, args[3]) or t
    local fields = {'state', at > t and 'retrying' or 'queued', 'queued_at', int(at), 'envelope', args[4]}
    if args[5] ~= '' then
        fields[7], fields[8] = 'result', args[5]
    end
    redis.call('HSET', run_key(P, run.id), unpack(fields))
    redis.call('HDEL', run_key(P, run.id), 'started')
    if at > t then
        delay(P, run.id, run.tag, at)
    else
        push(P, run.id, run.tag, run.step)
    end
    return 1
end

redis.register_function{function_name = 'taglane_retry', callback = retry, flags = {'allow-oom'}}
