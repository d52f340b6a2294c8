-- purge: end what waits for a tag.
--
-- A run is out of its queue before it ends, so a fetch has it or this has it. What workers hold goes on. What tells the
-- dependants of a run how it ended is not ended itself: it waits in delayed, due at once, so that the next call finds
-- the queue without it. What is parked behind a run of its job that is purged waits for the same tag: it is released by
-- that end, and purged in its turn. What is parked behind a run that goes on stays.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 tag  2 '1' to end what waits in delayed, too
-- Reads leases; writes run, queue, delayed, expiring, ended, runs, dead, ledger, job-ledger, tags, aside; rings the tag.
-- Returns {how many it ended, 1 when there is more}.
local MOST_PURGED = 300 -- runs a call: about 3 ms in which the server serves nobody else

local function waits(P, run)
    return (run.state == 'queued' or run.state == 'scheduled' or run.state == 'retrying')
        and not (run.holder and redis.call('ZSCORE', leases_key(P), run.id))
end

-- Answers 1 when it has ended a run that was taken from where it waited. A follow-up waits on, until `at`.
local function purge_one(P, t, tag, id, at)
    local run = load_run(P, id)
    if not run then
        lose(P, id)
        return 0
    end
    if not waits(P, run) then
        return 0
    end
    if run.ended then
        redis.call('HSET', run_key(P, id), 'state', 'scheduled')
        delay(P, id, tag, at)
        return 0
    end
    end_run(P, t, run, 'cancelled', {'error', 'purged'})
    return 1
end

-- End what a queue holds, `most` entries of it. Returns how many it ended, and how many more it may look at.
local function purge_queue(P, t, tag, step, most)
    local ids, count = most > 0 and redis.call('LPOP', queue_key(P, tag, step), most) or {}, 0
    for _, id in ipairs(ids) do
        count = count + (try(P, id, purge_one, P, t, tag, id, t) or 0)
    end
    return count, most - #ids
end

-- Likewise of what is delayed, the last of it first: follow-ups stay, and most of them are due by now. Returns how many
-- it ended, and whether there may be more.
local function purge_delayed(P, t, tag, most)
    local delayed, count = delayed_key(P, tag), 0
    local last = redis.call('ZRANGE', delayed, -most, -1, 'WITHSCORES')
    for i = 1, #last, 2 do
        redis.call('ZREM', delayed, last[i])
        count = count + (try(P, last[i], purge_one, P, t, tag, last[i], tonumber(last[i + 1])) or 0)
    end
    return count, count > 0 and #last == 2 * most
end

-- Likewise of all queues of a tag, until none of these ends releases a run into one of them.
local function purge_queues(P, t, tag, most)
    local count, before = 0, nil
    while count ~= before do
        before = count
        for _, step in ipairs(STEPS) do
            local ended
            ended, most = purge_queue(P, t, tag, step, most)
            count = count + ended
        end
    end
    return count, most
end

local function purge(keys, args)
    local P, t, tag, more = keys[1], now(), args[1], false
    local count, left = purge_queues(P, t, tag, MOST_PURGED)
    if args[2] == '1' and left > 0 then
        local ended, released
        ended, more = purge_delayed(P, t, tag, left)
        released, left = purge_queues(P, t, tag, left - ended)
        count = count + ended + released
    end
    trim(P, t, 2 * MOST_PURGED)
    return {count, (more or left <= 0) and 1 or 0}
end

redis.register_function{function_name = 'taglane_purge', callback = booking(purge), flags = {'allow-oom'}}
