-- enqueue: make runs, each once.
--
-- A caller who lost the reply asks again with the same ids, and a caller with an idempotency key asks as often as he
-- likes: the answer is the run that is there. The id of a run that is replaced by its own task (Celery's Task.replace) is
-- open again, once: to the last of those that replace it, which may come before the end of the task that said so.
--
-- KEYS  1 the tenant's prefix
-- ARGV  nine a run: 1 id  2 task  3 tag  4 step  5 envelope  6 at: '' now, '+ms' from now, 'ms' then
--       7 expires: likewise  8 idempotency key, '' for none  9 '1' when others depend on how it ends
-- Writes run, runs, queue or delayed, tags, expiring, key; for a replaced run leases, held, cancels; rings the tag.
-- Returns two a run: its id (an earlier one for a known key) and 1 when it was made now.
local function replaceable(P, run)
    return run.state == 'replaced' or (not ENDED[run.state] and redis.call('HGET', run_key(P, run.id), 'replacing'))
end

local function enqueue(keys, args)
    local P, t, answer = keys[1], now(), {}
    for i = 1, #args, 9 do
        local id, key = args[i], args[i + 7]
        local known = key ~= '' and redis.call('GET', idempotency_key(P, key))
        local run = not known and load_run(P, id)
        local replaced = run and replaceable(P, run)
        if known or run and not replaced then -- a known key's run may be forgotten already: it is not made again
            answer[#answer + 1], answer[#answer + 2] = known or id, 0
        else
            local extra = {}
            if replaced then
                release(P, run)
                redis.call('HDEL', run_key(P, id), 'result', 'progress', 'deps', 'expires')
                redis.call('ZREM', expiring_key(P), id)
            end
            if args[i + 8] ~= '' then
                extra[1], extra[2] = 'deps', '1'
            end
            admit(P, t, {id = id, task = args[i + 1], tag = args[i + 2], step = args[i + 3], envelope = args[i + 4],
                at = instant(t, args[i + 5]), expires = instant(t, args[i + 6]), extra = extra})
            if key ~= '' then
                redis.call('SET', idempotency_key(P, key), id, 'PX', KEEP_MS)
            end
            answer[#answer + 1], answer[#answer + 2] = id, 1
        end
    end
    return answer
end

redis.register_function('taglane_enqueue', enqueue)
