-- retry: end a run's lease and let it wait for its next attempt, in one step. A task that replaces itself by another
-- comes through here too: so the next attempt may ask for another task and tag. One that somebody has asked to cancel
-- has no next attempt.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 id  2 token  3 at: '' now, '+ms' from now, 'ms' then  4 envelope of the next attempt
--       5 why, JSON, '' for none  6 task  7 tag  8 step
-- Writes run, leases, held, cancels, delayed or queue, expiring; rings the tag.
-- Returns 1, or 0 when the run is not this worker's any more.
local function retry(keys, args)
    local P, t = keys[1], now()
    local run = load_run(P, args[1])
    if not run or ENDED[run.state] or run.token ~= args[2] then
        return 0
    end
    release(P, run)
    if not may_wait(P, t, run) then
        return 1
    end
    local at = instant(t, args[3]) or t
    local fields = {'state', at > t and 'retrying' or 'queued', 'queued_at', int(at), 'envelope', args[4],
        'task', args[6], 'tag', args[7], 'step', args[8]}
    if args[5] ~= '' then
        fields[13], fields[14] = 'result', args[5]
    end
    redis.call('HSET', run_key(P, run.id), unpack(fields))
    if at > t then
        delay(P, run.id, args[7], at)
    else
        push(P, run.id, args[7], args[8])
    end
    return 1
end

redis.register_function{function_name = 'taglane_retry', callback = retry, flags = {'allow-oom'}}
