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

-- Whether a run is to be served at once, for all that its caller says.
local function is_plain(args, i)
    return args[i + 5] == '' and args[i + 6] == '' and args[i + 7] == ''
end

-- Make runs that nobody has made yet, to be served at once, all for one tag and step: `first` and `last` are their places.
-- The lists first: where one of their keys is something else than ours, nothing is written.
local function make_alike(P, t, args, first, last)
    local tag, step, at, ids, scored = args[first + 2], args[first + 3], int(t), {}, {}
    for i = first, last, 9 do
        local id = args[i]
        ids[#ids + 1] = id
        scored[#scored + 1] = at
        scored[#scored + 1] = id
    end
    redis.call('ZADD', runs_key(P), unpack(scored))
    if redis.call('RPUSH', queue_key(P, tag, step), unpack(ids)) == #ids then
        redis.call('SADD', tags_key(P), tag)
    end
    for i = first, last, 9 do
        if string.find(args[i + 8], '1', 1, true) then
            redis.call('HSET', run_key(P, args[i]), 'deps', '1', 'state', 'queued', 'task', args[i + 1], 'tag', tag,
                'step', step, 'queued_at', at, 'envelope', args[i + 4])
        else
            redis.call('HSET', run_key(P, args[i]), 'state', 'queued', 'task', args[i + 1], 'tag', tag,
                'step', step, 'queued_at', at, 'envelope', args[i + 4])
        end
    end
    book(nil, 'made', #ids)
    ring(P, tag, #ids)
end

-- The place of the last of the runs from `first` on that can be made together with it: plain and new ones, for the same
-- tag and step; nil when it is none itself.
local function last_alike(P, args, first)
    local seen, last, tag, step = {}, nil, args[first + 2], args[first + 3]
    for i = first, math.min(#args, first + 9 * (MOST - 1)), 9 do
        local id = args[i]
        if not is_plain(args, i) or args[i + 2] ~= tag or args[i + 3] ~= step or seen[id]
            or redis.call('EXISTS', run_key(P, id)) == 1 then
            break
        end
        seen[id], last = true, i
    end
    return last
end

local function enqueue(keys, args)
    local P, t, answer, i = keys[1], now(), {}, 1
    local why_not = refused(P, t, args)
    if why_not then
        return why_not
    end
    while i <= #args do
        local last = last_alike(P, args, i)
        if last then
            make_alike(P, t, args, i, last)
            for place = i, last, 9 do
                answer[#answer + 1], answer[#answer + 2] = args[place], 1
            end
            i = last + 9
        else
            answer[#answer + 1], answer[#answer + 2] = make(P, t, unpack(args, i, i + 8))
            i = i + 9
        end
    end
    return answer
end

redis.register_function('taglane_enqueue', booking(enqueue))
