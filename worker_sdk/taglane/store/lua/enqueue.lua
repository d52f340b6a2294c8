-- enqueue: make runs, each once.
--
-- A caller who lost the reply asks again with the same ids, and a caller with an idempotency key asks as often as he
-- likes: the answer is the run that is there. The id of a run that is replaced by its own task (Celery's Task.replace)
-- is open again, once: to the last of those that replace it, which may come before the end of the task that said so. If
-- somebody has asked to cancel it, it ends instead.
--
-- KEYS  1 the tenant's prefix
-- ARGV  nine a run: 1 id  2 task  3 tag  4 step  5 envelope  6 at: '' now, '+ms' from now, 'ms' then
--       7 expires: likewise  8 idempotency key, '' for none  9 '1' when others depend on how it ends
-- Writes run, runs, queue or delayed, tags, expiring, key, ledger; for a replaced run leases, held, cancels, ended;
-- rings the tag.
-- Returns two a run: its id (an earlier one for a known key) and 1 when it was made now.
local function replaceable(P, run)
    return run.state == 'replaced' or (not ENDED[run.state] and redis.call('HGET', run_key(P, run.id), 'replacing'))
end

-- Make room for a run that replaces this one under its id; false when that is not asked for, or not wanted any more.
local function make_way(P, t, run)
    if not replaceable(P, run) then
        return false
    end
    release(P, run)
    if not may_wait(P, t, run, 'cancelled as others replaced it') then
        return false
    end
    redis.call('ZREM', ended_key(P), run.id)
    redis.call('HDEL', run_key(P, run.id), 'result', 'progress', 'deps', 'expires')
    redis.call('ZREM', expiring_key(P), run.id)
    return true
end

-- Returns the id of the run that is there now, and 1 when it was made now.
local function make(P, t, id, task, tag, step, envelope, at, expires, key, depends)
    local known = key ~= '' and redis.call('GET', idempotency_key(P, key))
    if known then
        return known, 0 -- it may be forgotten already: it is not made again
    end
    local run = load_run(P, id)
    if run and not make_way(P, t, run) then
        return id, 0
    end
    admit(P, t, {id = id, task = task, tag = tag, step = step, envelope = envelope, at = instant(t, at),
        expires = instant(t, expires), extra = depends ~= '' and {'deps', '1'} or {}}, run ~= nil)
    if key ~= '' then
        redis.call('SET', idempotency_key(P, key), id, 'PX', KEEP_MS)
    end
    return id, 1
end

local function enqueue(keys, args)
    local P, t, answer = keys[1], now(), {}
    for i = 1, #args, 9 do
        answer[#answer + 1], answer[#answer + 2] = make(P, t, unpack(args, i, i + 8))
    end
    return answer
end

redis.register_function('taglane_enqueue', booking(enqueue))
