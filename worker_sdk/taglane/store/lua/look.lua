-- look: what of a tenant is due, in one reading: the scheduler's eyes. Does what needs no plan on the way: queues
-- delayed runs whose time has come, trims the history, forgets tags for which nothing waits.
--
-- A tenant may have made many tags: of more than one call may look at, it looks at some, others the next time.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 how many due jobs at most
-- Reads job, expiring, workers; writes run, queue, delayed, due, ended, runs, tags, bell, aside; rings tags.
-- Returns {server's time, the earliest instant at which there is
-- something to do again (-1: none), 1 when runs have expired, how many workers, jobs}, a job being {name, due,
-- revision, created, schedule}: no definition, whose params may be large.
local function some_tags(P)
    if redis.call('SCARD', tags_key(P)) > MOST then
        return redis.call('SRANDMEMBER', tags_key(P), MOST), true
    end
    return redis.call('SMEMBERS', tags_key(P)), false
end

-- Queue what is due of a tag, `most` runs at most. Returns how many, and in how many ms the next of them is due.
local function look_at(P, t, tag, most)
    local promoted = promote(P, t, tag, most)
    local next_in = next_delayed(P, t, tag)
    if not next_in and redis.call('EXISTS', queue_key(P, tag, STEPS[1]), queue_key(P, tag, STEPS[2]),
            queue_key(P, tag, STEPS[3]), queue_key(P, tag, STEPS[4])) == 0 then
        redis.call('SREM', tags_key(P), tag)
        redis.call('DEL', bell_key(P, tag))
    end
    return promoted, next_in
end

local function look(keys, args)
    local P, t = keys[1], now()
    local earliest, late, jobs = -1, 0, {}
    local function at(instant_)
        if instant_ and (earliest < 0 or instant_ < earliest) then
            earliest = instant_
        end
    end
    local most = tonumber(args[1])
    local due = redis.call('ZRANGE', due_key(P), 0, most, 'WITHSCORES')
    for i = 1, #due, 2 do
        local score = tonumber(due[i + 1])
        if score > t or #jobs >= most then
            at(score)
            break
        end
        local f = redis.call('HMGET', job_key(P, due[i]), 'revision', 'created', 'schedule')
        if f[1] then
            jobs[#jobs + 1] = {due[i], due[i + 1], f[1], f[2], f[3]}
        else
            redis.call('ZREM', due_key(P), due[i])
        end
    end
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
    return {t, earliest, late, redis.call('SCARD', workers_key(P)), jobs}
end

redis.register_function{function_name = 'taglane_look', callback = look, flags = {'allow-oom'}}
