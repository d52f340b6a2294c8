-- look: what of a tenant is due, in one reading: the scheduler's eyes. Does what needs no plan on the way: queues
-- delayed runs whose time has come, trims the history, forgets tags for which nothing waits, and lets jobs go on that
-- wait for the end of a run that is gone (a restored backup, a trimmed history): end_run told nobody of it.
--
-- A tenant may have made many tags: of more than one call may look at, it looks at some, others the next time. Of the
-- jobs that wait for an end it looks at a few each time, and says so that it wants to come again that each is looked at
-- about once in 30 s. A job whose key holds something else than ours is laid aside, and due no more.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 how many due jobs at most
-- Reads expiring, workers, limits, fires; writes job, run, queue, parked, waiting, delayed, due, ended, runs, tags, bell, aside,
-- ledger; rings tags. Returns {server's time, the earliest instant at which there is something to do again (-1: none),
-- 1 when runs have expired, how many workers, jobs}, a job being {name, due, revision, created, schedule, misfire}: no
-- definition, whose params may be large; of one that was laid aside, name and due alone. A job whose tag no worker of
-- the tenant serves has three more: {.., tag, what its fires do then, '1' when its runs expire anyway}. Who serves is
-- who is among the workers: a dead one leaves these when its counter stood still for a lease, which takes no clock.
local FEW = 16 -- jobs that wait for an end, in one call
local SWEEP_MS = 30000
local STAFF = 256 -- workers that are asked for their tags: where there are more, every tag counts as served

local function some_tags(P)
    local tags = redis.call('SRANDMEMBER', tags_key(P), MOST) -- all of them, unless there are more
    return tags, #tags == MOST
end

-- Queue what is due of a tag, `most` runs at most. Returns how many, and in how many ms the next of them is due.
local function look_at(P, t, tag, most)
    local promoted, next_in = 0, next_delayed(P, t, tag)
    if next_in == 0 then
        promoted = promote(P, t, tag, most)
        next_in = next_delayed(P, t, tag)
    end
    if not next_in and redis.call('EXISTS', queue_key(P, tag, STEPS[1]), queue_key(P, tag, STEPS[2]),
            queue_key(P, tag, STEPS[3]), queue_key(P, tag, STEPS[4])) == 0 then
        redis.call('SREM', tags_key(P), tag)
        redis.call('DEL', bell_key(P, tag))
    end
    return promoted, next_in
end

-- Returns what tells whether a worker of the tenant serves a tag. It asks as many of them as it takes to find one: the
-- first, as a rule, so that this costs a call next to nothing.
local function staff(P)
    local workers, asked, tags = nil, 0, {}
    return function(tag)
        workers = workers or try(P, nil, redis.call, 'SRANDMEMBER', workers_key(P), STAFF + 1) or {}
        while not tags[tag] and asked < math.min(#workers, STAFF) do
            asked = asked + 1
            local own = try(P, nil, redis.call, 'HGET', worker_key(P, workers[asked]), 'tags')
            for each in string.gmatch(own or '', '%S+') do
                tags[each] = true
            end
        end
        return tags[tag] or #workers > STAFF
    end
end

local function listed(P, name, due, is_served)
    local f = redis.call('HMGET', job_key(P, name), 'revision', 'created', 'schedule', 'misfire', 'tag', 'no_worker',
        'expires')
    if not f[1] or not f[5] or is_served(f[5]) then
        return f[1] and {name, due, f[1], f[2], f[3], f[4] or ''}
    end
    return {name, due, f[1], f[2], f[3], f[4] or '', f[5], f[6] or '', f[7] and '1' or ''}
end

-- Let a job go on when it waits for the end of a run that does not go any more. Returns when there is something to do
-- for it again, if that is known. Of what is parked it ends or drops no more than `left` of this call.
local function revive(P, t, name, left)
    local f = redis.call('HMGET', job_key(P, name), 'revision', 'after', 'paused', 'last')
    if goes(P, f[4]) then
        return false
    end
    if left.parked <= 0 then
        return t + 1000
    end
    local goes_on, looked = false, nil
    if f[1] then
        goes_on, looked = let_next_go(P, t, name, left.parked)
    else
        looked = cancel_parked(P, t, name, 'its job is gone', left.parked)
    end
    left.parked = left.parked - looked
    if left.parked <= 0 then
        return t + 1000
    elseif goes_on then
        return false
    elseif f[1] and f[2] and not f[3] and not redis.call('ZSCORE', due_key(P), name) then
        return begin_delay(P, t, name, f[2])
    end
    redis.call('SREM', waiting_key(P), name)
    return false
end

-- Returns when there is something to do because of what waited for an end, nil when there is nothing.
local function sweep(P, t)
    local names = redis.call('SRANDMEMBER', waiting_key(P), FEW)
    local left = {parked = MOST}
    local earliest = #names == FEW and t + math.max(1000, SWEEP_MS * FEW / redis.call('SCARD', waiting_key(P))) or nil
    for _, name in ipairs(names) do
        local due = try(P, 'job ' .. name, revive, P, t, name, left)
        if due == nil then
            redis.call('SREM', waiting_key(P), name)
        elseif due then
            earliest = math.min(due, earliest or due)
        end
    end
    return earliest
end

-- The jobs that are due, `most` of them, and the next one: of a tenant who has many, no more are read than are due.
local function all_due(P, t, most)
    local due = redis.call('ZRANGE', due_key(P), '-inf', int(t), 'BYSCORE', 'LIMIT', 0, most + 1, 'WITHSCORES')
    if #due <= 2 * most then
        local next_one = redis.call('ZRANGE', due_key(P), '(' .. int(t), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
        due[#due + 1], due[#due + 2] = next_one[1], next_one[2]
    end
    return due
end

local function look(keys, args)
    local P, t = keys[1], now()
    local earliest, late, jobs = -1, 0, {}
    local function at(instant_)
        if instant_ and (earliest < 0 or instant_ < earliest) then
            earliest = instant_
        end
    end
    local most, later_in = may_fire(P, t, tonumber(args[1]))
    local due = later_in and redis.call('ZRANGE', due_key(P), 0, 1, 'WITHSCORES') or {}
    if due[2] and most == 0 then
        if tonumber(due[2]) <= t then
            book(nil, 'hit:fires')
        end
        due = {due[1], int(math.max(tonumber(due[2]), t + later_in))} -- a limit is in the way until then
    elseif due[4] and tonumber(due[4]) <= t then -- of most tenants nothing is due, or one: that is cheap to see
        due = all_due(P, t, most)
    end
    local is_served = staff(P)
    for i = 1, #due, 2 do
        local score = tonumber(due[i + 1])
        if score > t or #jobs >= most then
            at(score)
            break
        end
        local job = try(P, 'job ' .. due[i], listed, P, due[i], due[i + 1], is_served)
        if not job then
            redis.call('ZREM', due_key(P), due[i])
        end
        if job ~= false then
            jobs[#jobs + 1] = job or {due[i], due[i + 1]}
        end
    end
    at(try(P, nil, sweep, P, t))
    local tags, more = some_tags(P)
    at(more and t + 1000)
    local left = MOST
    for _, tag in ipairs(tags) do
        local promoted, next_in = try(P, nil, look_at, P, t, tag, left)
        left = left - (promoted or 0)
        at(next_in and t + next_in)
    end
    local expiring = redis.call('ZRANGE', expiring_key(P), 0, 0, 'WITHSCORES')
    if expiring[2] then
        at(tonumber(expiring[2]))
        late = tonumber(expiring[2]) <= t and 1 or 0
    end
    trim(P, t, MOST)
    return {t, math.floor(earliest), late, redis.call('SCARD', workers_key(P)), jobs}
end

redis.register_function{function_name = 'taglane_look', callback = booking(look), flags = {'allow-oom'}}
