-- put: write a job's definition. remove: forget a job. pause: stop its fires, or let them go on.
--
-- What waits for a job's last run goes on waiting, whatever becomes of the definition: but a job that allows its runs to
-- overlap lets all of it go, and those of a job that is removed end as cancelled: of very many, the rest when look comes
-- by. A pause stops none of it. The last run of a job that is removed goes on; a new job of that name waits for its end.
--
-- Who put or resumed a job by what he read of it says so: if it is another one by now, nothing happens.
--
-- KEYS  1 the tenant's prefix
-- ARGV  put: 1 job  2 definition, JSON  3 task  4 tag  5 step  6 envelope  7 ms after each end, '' for none  8 overlap
--            9 expires, ms, '' for none  10 next due, ms; '' for none; 'keep' for what it is  11 schedule, JSON
--            12 misfire, '' for once  13 what the caller saw: 'revision-born', '0' for no job, '' for whatever it is
--            14 what a fire does without a worker, '' for wait
--       remove: 1 job; pause: 1 job  2 '1' to pause, '' to resume  3 next due as in put: a fixed delay whose last run
--       goes begins with its end instead  4 what the caller saw, as in put
-- Reads limits; writes job, jobs, due, waiting, removed, last, failing; of parked runs run, queue, ended, unwell, ledger,
-- job-ledger; publishes wake, rings tags.
-- Returns the revision (put), 1 or 0 for no such job (remove, pause), -1 when it is not what the caller saw; an error as
-- of enqueue when the params are over the tenant's limit (put).
local function plan(P, name, due)
    if due == '' then
        redis.call('ZREM', due_key(P), name)
    elseif due ~= 'keep' then
        redis.call('ZADD', due_key(P), due, name)
        if redis.call('ZRANGE', due_key(P), 0, 0)[1] == name then -- the schedulers know of what is due before it
            redis.call('PUBLISH', wake_channel(P), due)
        end
    end
end

local function optional(key, field, value)
    if value == '' then
        redis.call('HDEL', key, field)
    else
        redis.call('HSET', key, field, value)
    end
end

-- Write fields of a job: `fields`, and those of `others` that are not empty; an empty one goes, unless the job is new.
local function write(key, is_new, fields, others)
    local gone = {}
    for i = 1, #others, 2 do
        if others[i + 1] == '' then
            gone[#gone + 1] = others[i]
        else
            fields[#fields + 1], fields[#fields + 2] = others[i], others[i + 1]
        end
    end
    redis.call('HSET', key, unpack(fields))
    if not is_new and #gone > 0 then
        redis.call('HDEL', key, unpack(gone))
    end
end

local function is_as_seen(key, seen)
    if not seen or seen == '' then
        return true
    end
    local f = redis.call('HMGET', key, 'revision', 'born')
    return seen == (f[1] and f[1] .. '-' .. (f[2] or '') or '0')
end

-- Let a new job wait for the run that went when the one before it of this name was removed.
local function take_on(P, name)
    local id = redis.call('GET', removed_key(P, name))
    redis.call('DEL', removed_key(P, name))
    if try(P, nil, goes, P, id) then
        redis.call('HSET', job_key(P, name), 'last', id)
    end
end

local function put(keys, args)
    local P, t, name = keys[1], now(), args[1]
    local key = job_key(P, name)
    if not is_as_seen(key, args[13]) then
        return -1
    end
    local why_not = too_large(P, #args[6], redis.call('HGET', limits_key(P), 'payload'))
    if why_not then
        return why_not
    end
    redis.call('ZADD', jobs_key(P), '0', name)
    local is_new = redis.call('HSETNX', key, 'created', int(t)) == 1
    if is_new then
        -- Two jobs of one name may be made in the same ms, with a removal in between: not in the same microsecond.
        redis.call('HSET', key, 'born', table.concat(redis.call('TIME'), '.'))
        try(P, nil, take_on, P, name)
    end
    -- What is as it is of most jobs is not kept: it would be a fifth of the memory of each.
    write(key, is_new, {'definition', args[2], 'task', args[3], 'tag', args[4], 'envelope', args[6], 'schedule', args[11]},
        {'after', args[7], 'expires', args[9], 'misfire', args[12] or '', 'no_worker', args[14] or '',
        'overlap', args[8] == 'skip' and '' or args[8], 'step', args[5] == '0' and '' or args[5]})
    local paused = not is_new and redis.call('HGET', key, 'paused')
    plan(P, name, paused and '' or args[10])
    local left = args[8] == 'allow' and MOST_PARKED or 0
    while left > 0 and let_next_go(P, t, name) do
        left = left - 1
    end
    return redis.call('HINCRBY', key, 'revision', 1)
end

local function remove(keys, args)
    local P, t, name = keys[1], now(), args[1]
    local more = cancel_parked(P, t, name, 'its job was deleted', MOST) == MOST
    local last = try(P, nil, redis.call, 'HGET', job_key(P, name), 'last')
    if last and try(P, nil, goes, P, last) then
        redis.call('SET', removed_key(P, name), last, 'PX', KEEP_MS)
    end
    redis.call('ZREM', due_key(P), name)
    redis.call(more and 'SADD' or 'SREM', waiting_key(P), name)
    redis.call('ZREM', jobs_key(P), name)
    redis.call('ZREM', failing_key(P), name)
    redis.call('DEL', last_key(P, name))
    return redis.call('DEL', job_key(P, name))
end

local function pause(keys, args)
    local P, name = keys[1], args[1]
    local key = job_key(P, name)
    if redis.call('EXISTS', key) == 0 then
        return 0
    end
    if not is_as_seen(key, args[4]) then
        return -1
    end
    optional(key, 'paused', args[2])
    redis.call('HINCRBY', key, 'revision', 1)
    local f = redis.call('HMGET', key, 'after', 'last')
    local waits = args[2] == '' and f[1] and try(P, nil, goes, P, f[2])
    if waits then
        redis.call('SADD', waiting_key(P), name)
    end
    plan(P, name, (args[2] ~= '' or waits) and '' or args[3])
    return 1
end

redis.register_function('taglane_put', put)
redis.register_function{function_name = 'taglane_remove', callback = booking(remove), flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_pause', callback = pause, flags = {'allow-oom'}}
