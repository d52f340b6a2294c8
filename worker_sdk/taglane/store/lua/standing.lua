-- standing: how a tenant stands now, in one reading that writes nothing. Whatever the tenant has, its work is bounded.
--
-- Of what its tenant has made something else than ours, the answer says that it can't be read, and holds the rest.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 for how long, ms, a worker may be silent that said nothing else of it
-- Reads tags, workers, worker, leases, run, queue, delayed, waiting, parked, job, failing, due, dead, jobs, capped, recent,
-- limits; writes nothing. Returns {server's time, state, leases, workers that live, dead letters, jobs,
-- 1 at its limit, 1 readable, tags, stalled workers, how many these are, failing jobs, overdue jobs, first due, last death,
-- minutes}: a tag being {tag, four queues' lengths, delayed, parked, running, ms that its oldest head has waited or -1,
-- workers, slots}; a failing job {job, streak, when its last run ended}; first due {job, due} or {}; last death in ms or
-- -1; a minute {minute since 1970, succeeded, failed}.
local MOST_TAGS, MOST_WORKERS, MOST_WAITING, MOST_FAILING, MOST_STALLED = 64, 256, 64, 32, 8
local MOST_LEASES = 64 -- leases that are asked for their tags: of more, some stand for all
local LONGEST = 4096 -- bytes of what a worker says of its tags
local LATE_MS = 60000
local MINUTES = 60

-- Read with `read`, and return `otherwise` when the key holds something else than ours.
local function safely(seen, otherwise, read, ...)
    local answer = try(nil, nil, read, ...)
    if answer == nil then
        seen.spoiled = true
        return otherwise
    end
    return answer
end

local function tag_of(seen, tag)
    local of = seen.tags[tag]
    if not of and seen.count < MOST_TAGS and #tag <= 127 and string.find(tag, '^[a-z0-9_.-]+$') then
        of = {queued = {0, 0, 0, 0}, delayed = 0, parked = 0, running = 0, oldest = -1, workers = 0, slots = 0}
        seen.tags[tag] = of
        seen.count = seen.count + 1
    end
    return of
end

local function read_worker(P, t, lease, worker, seen)
    local key = worker_key(P, worker)
    if redis.call('HSTRLEN', key, 'tags') > LONGEST then
        seen.spoiled = true
        return true
    end
    local f = redis.call('HMGET', key, 'beat', 'seen', 'tags', 'slots', 'lease')
    if not f[1] then
        return true
    end
    local own = tonumber(f[5] or '') or 0
    if t - (tonumber(f[2] or '') or 0) > (own > 0 and own or lease) then
        seen.stalled = seen.stalled + 1
        if #seen.silent < MOST_STALLED then
            seen.silent[#seen.silent + 1] = worker
        end
        return true
    end
    seen.workers = seen.workers + 1
    for tag in string.gmatch(f[3] or '', '%S+') do
        local of = tag_of(seen, tag)
        if of then
            of.workers = of.workers + 1
            of.slots = of.slots + math.max(1, math.min(100000, tonumber(f[4] or '') or 1))
        end
    end
    return true
end

local function read_workers(P, t, lease, seen)
    local workers = redis.call('SRANDMEMBER', workers_key(P), MOST_WORKERS)
    for _, worker in ipairs(workers) do
        safely(seen, true, read_worker, P, t, lease, worker, seen)
    end
    return true
end

-- How long the run at the head of a queue has waited, ms; -1 when that is not known.
local function waited(P, t, queue)
    local id = redis.call('LRANGE', queue, 0, 0)[1]
    local f = id and redis.call('HMGET', run_key(P, id), 'state', 'queued_at') or {}
    local since = f[1] == 'queued' and tonumber(f[2] or '')
    return since and math.max(0, t - since) or -1
end

local function read_tag(P, t, tag, of)
    for n, step in ipairs(STEPS) do
        local queue = queue_key(P, tag, step)
        of.queued[n] = redis.call('LLEN', queue)
        if of.queued[n] > 0 then
            of.oldest = math.max(of.oldest, waited(P, t, queue))
        end
    end
    of.delayed = redis.call('ZCARD', delayed_key(P, tag))
    return true
end

-- Share out the leases among the tags of their runs.
local function read_leases(P, count, seen)
    local only = seen.count == 1 and next(seen.tags)
    if count == 0 or only then
        if only then
            seen.tags[only].running = count
        end
        return true
    end
    local ids, of_tag = redis.call('ZRANGE', leases_key(P), 0, MOST_LEASES - 1), {}
    for _, id in ipairs(ids) do
        local tag = try(nil, nil, redis.call, 'HGET', run_key(P, id), 'tag')
        if tag then
            of_tag[tag] = (of_tag[tag] or 0) + 1
        end
    end
    for tag, some in pairs(of_tag) do
        local of = tag_of(seen, tag)
        if of then
            of.running = math.floor(some * count / #ids + 0.5)
        end
    end
    return true
end

-- Of the jobs that wait for the end of a run, those with a fixed delay have nothing parked.
local function read_parked(P, seen)
    for _, name in ipairs(redis.call('SRANDMEMBER', waiting_key(P), MOST_WAITING)) do
        local count = redis.call('LLEN', parked_key(P, name))
        local tag = count > 0 and redis.call('HGET', job_key(P, name), 'tag')
        local of = tag and tag_of(seen, tag)
        if of then
            of.parked = of.parked + count
        end
    end
    return true
end

local function read_failing(P)
    local found, names = {}, redis.call('ZRANGE', failing_key(P), 0, MOST_FAILING - 1, 'REV')
    for i, name in ipairs(names) do
        local f = redis.call('HMGET', job_key(P, name), 'streak', 'unwell_at')
        found[i] = {name, f[1] or '0', f[2] or '0'}
    end
    return found
end

-- The minutes of an hour in which something ended, from `since` on, which is a minute, too.
local function read_hour(P, hour, since, minutes)
    local key = recent_key(P, string.format('%s%02d', date_of(math.floor(hour / 24)), hour % 24))
    local count = redis.call('HLEN', key)
    if count > 2 * MINUTES then
        error('not ours', 0)
    elseif count == 0 then
        return true
    end
    local f = redis.call('HGETALL', key)
    for i = 1, #f, 2 do
        local minute, how = string.match(f[i], '^(%d%d)|([sf])$')
        local at = minute and hour * 60 + tonumber(minute) or 0
        if at >= since then
            local of = minutes[at] or {at, 0, 0}
            of[how == 's' and 2 or 3] = tonumber(f[i + 1]) or 0
            minutes[at] = of
        end
    end
    return true
end

local function read_recent(P, t, seen)
    local now_, minutes, list = math.floor(t / 60000), {}, {}
    for hour = math.floor((now_ - MINUTES + 1) / 60), math.floor(now_ / 60) do
        safely(seen, true, read_hour, P, hour, now_ - MINUTES + 1, minutes)
    end
    for _, of in pairs(minutes) do
        list[#list + 1] = {of[1], int(of[2]), int(of[3])}
    end
    return list
end

local function tags_told(tags)
    local list = {}
    for tag, of in pairs(tags) do
        list[#list + 1] = {tag, of.queued[1], of.queued[2], of.queued[3], of.queued[4], of.delayed, of.parked, of.running,
            of.oldest, of.workers, of.slots}
    end
    return list
end

local function standing(keys, args)
    local P, t, lease = keys[1], now(), tonumber(args[1])
    local seen = {tags = {}, count = 0, workers = 0, stalled = 0, silent = {}, spoiled = false}
    for _, tag in ipairs(safely(seen, {}, redis.call, 'SRANDMEMBER', tags_key(P), MOST_TAGS)) do
        tag_of(seen, tag)
    end
    safely(seen, true, read_workers, P, t, lease, seen)
    safely(seen, true, read_parked, P, seen)
    local leases = safely(seen, 0, redis.call, 'ZCARD', leases_key(P))
    safely(seen, true, read_leases, P, leases, seen)
    for tag, of in pairs(seen.tags) do
        safely(seen, true, read_tag, P, t, tag, of)
    end
    local failing = safely(seen, {}, read_failing, P)
    local first = safely(seen, {}, redis.call, 'ZRANGE', due_key(P), 0, 0, 'WITHSCORES')
    local overdue = first[2] and redis.call('ZCOUNT', due_key(P), '-inf', int(t - LATE_MS)) or 0
    local last = safely(seen, {}, redis.call, 'ZRANGE', dead_key(P), -1, -1, 'WITHSCORES')
    local dead = last[1] and redis.call('ZCARD', dead_key(P)) or 0
    local jobs = safely(seen, 0, redis.call, 'ZCARD', jobs_key(P))
    local capped = safely(seen, 0, redis.call, 'SCARD', capped_key(P))
    local minutes = read_recent(P, t, seen)
    return {t, redis.call('HGET', limits_key(P), 'state') or '', leases, seen.workers, dead, jobs, capped > 0 and 1 or 0,
        seen.spoiled and 0 or 1, tags_told(seen.tags), seen.silent, seen.stalled, failing, overdue, first, last[2] or '-1', minutes}
end

redis.register_function{function_name = 'taglane_standing', callback = standing, flags = {'no-writes'}}
