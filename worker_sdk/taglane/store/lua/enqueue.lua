-- enqueue: make runs, each once.
--
-- A caller who lost the reply asks again with the same ids, and a caller with an idempotency key asks as often as he
-- likes: the answer is the run that is there. The id of a run that is replaced by its own task (Celery's Task.replace)
-- is open again, once: to the last of those that replace it, which may come before the end of the task that said so. If
-- somebody has asked to cancel it, it ends instead.
--
-- A call is made whole, or, where a limit of its tenant is in the way, not at all: what is there already counts as nothing
-- new. What carries on a run that has ended, a chain's next link, a chord's body, is made in any case.
--
-- KEYS  1 the tenant's prefix
-- ARGV  nine a run: 1 id  2 task  3 tag  4 step  5 envelope  6 at: '' now, '+ms' from now, 'ms' then
--       7 expires: likewise  8 idempotency key, '' for none  9 '' or letters: 1 others depend on how it ends,
--       c it carries on another run
-- Reads limits; writes run, runs, queue or delayed, tags, expiring, key, ledger; for a replaced run leases, held,
-- cancels, ended, job-ledger; rings the tag.
-- Returns two a run: its id (an earlier one for a known key) and 1 when it was made now; or an error: QUEUEFULL limit,
-- how many wait, ms until there may be room; TOOLARGE bytes, limit; DRAINING.
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
local function make(P, t, id, task, tag, step, envelope, at, expires, key, flags)
    local known = key ~= '' and redis.call('GET', idempotency_key(P, key))
    if known then
        return known, 0 -- it may be forgotten already: it is not made again
    end
    local run = load_run(P, id)
    if run and not make_way(P, t, run) then
        return id, 0
    end
    admit(P, t, {id = id, task = task, tag = tag, step = step, envelope = envelope, at = instant(t, at),
        expires = instant(t, expires), extra = string.find(flags, '1', 1, true) and {'deps', '1'} or {}}, run ~= nil)
    if key ~= '' then
        redis.call('SET', idempotency_key(P, key), id, 'PX', KEEP_MS)
    end
    return id, 1
end

-- How many of a call's runs would really be made.
local function count_new(P, args)
    local count = 0
    for i = 1, #args, 9 do
        local id, key = args[i], args[i + 7]
        local known = key ~= '' and redis.call('EXISTS', idempotency_key(P, key)) == 1
        if not known and redis.call('EXISTS', run_key(P, id)) == 0 then
            count = count + 1
        end
    end
    return count
end

-- The error to answer with when these runs may not be made, nil when they may.
local function refused(P, t, args)
    local count, size = 0, 0
    for i = 1, #args, 9 do
        if not string.find(args[i + 8], 'c', 1, true) then
            count, size = count + 1, math.max(size, #args[i + 4])
        end
    end
    return count > 0 and refusal(P, t, count, size, function() return count_new(P, args) end) or nil
end

local function enqueue(keys, args)
    local P, t, answer = keys[1], now(), {}
    local why_not = refused(P, t, args)
    if why_not then
        return why_not
    end
    for i = 1, #args, 9 do
        answer[#answer + 1], answer[#answer + 2] = make(P, t, unpack(args, i, i + 8))
    end
    return answer
end

redis.register_function('taglane_enqueue', booking(enqueue))
