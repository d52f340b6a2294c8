-- The second half of the prelude: the life of a run, as far as several functions share it. See prelude.lua.

-- Make a run that nobody has made yet. `run` holds id, task, tag, step, envelope, and what else is to be kept
-- of it in `extra` (a flat list of fields and values); `at` is when it may be served, `parked` says that it waits for the
-- end of its job's last run, `expires` is until when: the first that expires wakes the schedulers, who end it when no
-- worker came. `lives` says that its job is there. `again` says that the run was made before, and begins anew.
local function admit(P, t, run, again)
    if not again then
        book(nil, 'made')
    end
    local waits = run.parked or run.at and run.at > t
    local fields = run.extra or {}
    local size = #fields
    fields[size + 1], fields[size + 2] = 'state', waits and 'scheduled' or 'queued'
    fields[size + 3], fields[size + 4] = 'task', run.task
    fields[size + 5], fields[size + 6] = 'tag', run.tag
    fields[size + 7], fields[size + 8] = 'step', run.step
    fields[size + 9], fields[size + 10] = 'queued_at', int(waits and run.at or t)
    fields[size + 11], fields[size + 12] = 'envelope', run.envelope
    size = size + 12
    if run.job then
        fields[size + 1], fields[size + 2] = 'job', run.job
        size = size + 2
    end
    if run.expires then
        fields[size + 1], fields[size + 2] = 'expires', int(run.expires)
        redis.call('ZADD', expiring_key(P), int(run.expires), run.id)
        if redis.call('ZRANGE', expiring_key(P), 0, 0)[1] == run.id then
            redis.call('PUBLISH', wake_channel(P), int(run.expires))
        end
    end
    redis.call('HSET', run_key(P, run.id), unpack(fields))
    redis.call('ZADD', runs_key(P), int(t), run.id)
    if run.job then
        try(P, nil, note_made, P, run.job, run.id, run.lives)
    end
    if run.parked then
        park(P, run.job, run.id)
    elseif waits then
        delay(P, run.id, run.tag, run.at)
    else
        push(P, run.id, run.tag, run.step)
    end
end

-- What end_run and the moves need to know of a run. Raises a WRONGTYPE error when the key is no hash.
local function load_run(P, id)
    local f = redis.call('HMGET', run_key(P, id), 'state', 'token', 'holder', 'job', 'deps', 'join', 'tag', 'step',
        'expires', 'cancel', 'started', 'queued_at', 'ended')
    if not f[1] then
        return nil
    end
    return {id = id, state = f[1], token = f[2], holder = f[3], job = f[4], deps = f[5], join = f[6], tag = f[7],
        step = f[8], expires = f[9], cancel = f[10], started = f[11], queued_at = f[12], ended = f[13]}
end

-- The first `most` bytes of a text, and no half of a character; nil when there is none.
local function cut(text, most)
    if type(text) ~= 'string' or #text <= most then
        return type(text) == 'string' and text or nil
    end
    while most > 0 and string.byte(text, most + 1) >= 128 and string.byte(text, most + 1) < 192 do
        most = most - 1
    end
    return string.sub(text, 1, most)
end

-- Keep how an attempt went that did not end its run: one JSON object a line, the last ones. To be called before
-- `release`, which forgets when the attempt began.
local function note_try(P, t, run, how, why, traceback)
    local key = run_key(P, run.id)
    local f = redis.call('HMGET', key, 'attempts', 'started_at', 'tries')
    local made, line = pcall(cjson.encode, {n = tonumber(f[1]), w = run.holder or nil, s = tonumber(f[2]), t = t,
        h = how, e = cut(why, 2000), tb = cut(traceback, 8000)})
    if not made then -- a count that is no number: the tenant's own doing
        return
    end
    local lines, size, from = {}, 0, 1
    for old in string.gmatch(f[3] or '', '[^\n]+') do
        lines[#lines + 1] = old
    end
    lines[#lines + 1] = line
    for i = #lines, 1, -1 do
        size = size + #lines[i] + 1
        if size > LONGEST_TRIES or #lines - i >= MOST_TRIES then
            from = i + 1
            break
        end
    end
    redis.call('HSET', key, 'tries', table.concat(lines, '\n', math.min(from, #lines)))
end

-- Queue the run that joins a chord whose parts are all in: it collects them, and sends the body.
local function start_join(P, t, group)
    local chord = chord_key(P, group)
    local f = redis.call('HMGET', chord, 'size', 'parts', 'id', 'tag', 'step', 'task', 'envelope', 'started')
    if not f[1] or f[8] or tonumber(f[2] or '0') < tonumber(f[1]) then
        return
    end
    redis.call('HSET', chord, 'started', '1')
    if redis.call('EXISTS', run_key(P, f[3])) == 0 then
        admit(P, t, {id = f[3], task = f[6], tag = f[4], step = f[5], envelope = f[7],
            extra = {'join', group, 'deps', '1'}})
    end
end

-- Note one part's outcome: by its index, so a part that ran twice counts once.
local function add_part(P, t, group, index, outcome)
    local chord = chord_key(P, group)
    if redis.call('HSETNX', chord, 'part:' .. index, outcome) == 1 then
        redis.call('HINCRBY', chord, 'parts', 1)
        redis.call('PEXPIRE', chord, 7 * KEEP_MS)
        start_join(P, t, group)
    end
end

-- Every way a run can end comes through here: so whoever waits for it, a caller, a fixed-delay job, a chord's body,
-- never wait for a run that is gone. `fields` is a flat list of what to keep of it; `told` says that a worker has
-- told the run's dependants (links, chains, chords) itself: if not, a follow-up run lets a worker tell them.
local function end_run(P, t, run, state, fields, told)
    local key = run_key(P, run.id)
    local size = #fields
    book(run.job, state)
    fields[size + 1], fields[size + 2] = 'state', state
    fields[size + 3], fields[size + 4] = 'finished_at', int(t)
    redis.call('HSET', key, unpack(fields))
    let_go(P, run)
    if run.expires then
        redis.call('ZREM', expiring_key(P), run.id)
    end
    if run.join and state == 'succeeded' then -- a join that died may be replayed; its parts go a week after the last
        redis.call('DEL', chord_key(P, run.join))
    end
    if state == 'dead' then
        redis.call('ZADD', dead_key(P), int(t), run.id)
    else
        if struck then
            local size = #struck.ended
            struck.ended[size + 1], struck.ended[size + 2] = int(t), run.id
        else
            redis.call('ZADD', ended_key(P), int(t), run.id)
        end
        if state ~= 'succeeded' then
            redis.call('ZADD', unwell_key(P), int(t), run.id)
        end
    end
    if run.deps and not told then
        local f = redis.call('HMGET', key, 'task', 'envelope')
        if f[1] and f[2] then
            admit(P, t, {id = run.id .. '~end', task = f[1], tag = run.tag, step = run.step, envelope = f[2],
                extra = {'ended', state, 'of', run.id}})
        end
    end
    if state == 'succeeded' then
        redis.call('HDEL', key, 'envelope')
    end
    redis.call('SPUBLISH', done_channel(P, run.id), state)
    if run.job then
        try(P, nil, go_on, P, t, run, state) -- a spoiled job keeps none of its runs from ending
    end
end

-- A run that a worker had is to wait again. Somebody may have asked to cancel it meanwhile, which only its worker could
-- do then: now it ends instead, and the answer is false; `how` says what became of its attempt. One that has never begun
-- may expire again, too.
local function may_wait(P, t, run, how)
    if run.cancel then
        end_run(P, t, run, 'cancelled', {'error', how .. ': ' .. run.cancel})
        return false
    end
    if run.expires then
        redis.call('ZADD', expiring_key(P), run.expires, run.id)
    end
    return true
end

-- Let a run that a worker had wait again, where it was: at the head of its queue, or until `at`.
local function wait_again(P, t, run, at, how)
    if not may_wait(P, t, run, how or 'cancelled as its worker gave it back') then
        return false
    end
    redis.call('HSET', run_key(P, run.id), 'state', at and 'scheduled' or 'queued')
    if at then
        delay(P, run.id, run.tag, at)
    else
        push(P, run.id, run.tag, run.step, true)
    end
    return true
end

-- Take from the head of a queue what has ended while it waited there: else a queue that no worker serves would keep
-- the ids of all runs that ever expired in it.
local function drop_heads(P, tag, step)
    local queue = queue_key(P, tag, step)
    for _ = 1, 100 do
        local id = redis.call('LPOP', queue)
        if not id then
            return
        end
        local state = redis.pcall('HGET', run_key(P, id), 'state')
        if state == false then
            lose(P, id)
        elseif type(state) == 'table' then
            lay_aside(P, id)
        elseif not ENDED[state] then
            redis.call('LPUSH', queue, id)
            return
        end
    end
end

-- Ask the worker that holds a run to stop it, or end it when it waits. Returns 'asked' or 'cancelled'. What was asked
-- holds also when the worker dies or gives the run back.
local function stop_run(P, t, run, why)
    if run.holder and redis.call('ZSCORE', leases_key(P), run.id) then
        redis.call('SADD', cancels_key(P, run.holder), run.id)
        redis.call('HSET', run_key(P, run.id), 'cancel', why)
        return 'asked'
    end
    local tried = redis.call('HGET', run_key(P, run.id), 'tries')
    redis.call('ZREM', delayed_key(P, run.tag), run.id)
    end_run(P, t, run, 'cancelled', {'error', 'cancelled before ' .. (tried and 'its next attempt: ' or 'start: ') .. why})
    drop_heads(P, run.tag, run.step)
    return 'cancelled'
end

local function cancel_one_parked(P, t, id, why)
    local run = load_run(P, id)
    if run and not ENDED[run.state] then
        redis.call('HDEL', run_key(P, id), 'parked') -- it is out of the list: its end need not search that
        end_run(P, t, run, 'cancelled', {'error', 'cancelled before start: ' .. why})
    end
end

-- End what waits for a job's last run, `most` of it. Returns how much that was: no less than `most` when there may be
-- more, which stays where it is.
local function cancel_parked(P, t, name, why, most)
    local ids = most > 0 and redis.call('LPOP', parked_key(P, name), most) or {}
    for _, id in ipairs(ids) do
        try(P, id, cancel_one_parked, P, t, id, why)
    end
    return #ids
end

-- Forget the oldest runs of a zset: those over `kept` in number, or else those from before `since`; `most` of them.
local function forget_oldest(P, zset, kept, since, most)
    local count = redis.call('ZCARD', zset)
    if count == 0 then
        return
    end
    local old
    if count > kept then
        old = redis.call('ZRANGE', zset, 0, math.min(count - kept, most) - 1)
    else
        old = redis.call('ZRANGEBYSCORE', zset, '-inf', int(since), 'LIMIT', 0, int(most))
    end
    if old[1] then
        redis.call('ZREM', runs_key(P), unpack(old))
        redis.call('ZREM', zset, unpack(old))
        redis.call('ZREM', unwell_key(P), unpack(old))
        local count = #old
        for i = 1, count do
            old[count + i] = log_key(P, old[i])
            old[i] = run_key(P, old[i])
        end
        redis.call('DEL', unpack(old))
    end
end

-- Keep the history and the dead letters within their bounds: `most` of the oldest of each go with each call, and no
-- more than the names of whose keys unpack can spread. Where runs end, more than end.
local function trim(P, t, most)
    most = math.min(most, 3000)
    forget_oldest(P, ended_key(P), KEEP_RUNS, t - KEEP_MS, most)
    forget_oldest(P, dead_key(P), KEEP_DEAD, t - KEEP_DEAD_MS, most)
end

local function promote_one(P, t, tag, id)
    redis.call('ZREM', delayed_key(P, tag), id)
    local f = redis.call('HMGET', run_key(P, id), 'state', 'step')
    if f[1] == 'scheduled' or f[1] == 'retrying' then
        redis.call('HSET', run_key(P, id), 'state', 'queued', 'queued_at', int(t))
        push(P, id, tag, f[2])
    elseif not f[1] then
        lose(P, id)
    end
end

-- Queue what has waited long enough in a tag's delayed set, `most` runs of it. Returns how many it took out.
local function promote(P, t, tag, most)
    local ids = redis.call('ZRANGEBYSCORE', delayed_key(P, tag), '-inf', int(t), 'LIMIT', 0, most)
    for _, id in ipairs(ids) do
        try(P, id, promote_one, P, t, tag, id)
    end
    return #ids
end

-- When a tag's first delayed run may be served, in ms from t; nil when none waits.
local function next_delayed(P, t, tag)
    local first = redis.call('ZRANGE', delayed_key(P, tag), 0, 0, 'WITHSCORES')
    return first[2] and math.max(0, tonumber(first[2]) - t) or nil
end

-- Read an instant: '' is now, '+250' is in 250 ms, '1763800000000' is then.
local function instant(t, text)
    if text == '' then
        return nil
    end
    if string.sub(text, 1, 1) == '+' then
        return math.min(FAR, t + (tonumber(string.sub(text, 2)) or 0))
    end
    return math.min(FAR, tonumber(text) or t)
end
