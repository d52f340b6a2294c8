-- The prelude's part for leases: how a worker's hold on a run ends. See prelude.lua.

-- What a call that ends many runs strikes out when it is done, a command a key: {leases = ids, held = {[worker] = ids},
-- ended = {t, id, ...}}; nil where each is struck out at once.
local struck = nil

-- Strike a run out of the books of the worker that holds it.
local function let_go(P, run)
    if not run.holder then
        return
    end
    if run.cancel then
        redis.call('SREM', cancels_key(P, run.holder), run.id)
    end
    if struck then
        local ids = struck.held[run.holder]
        if not ids then
            ids = {}
            struck.held[run.holder] = ids
        end
        ids[#ids + 1] = run.id
        struck.leases[#struck.leases + 1] = run.id
        return
    end
    redis.call('SREM', held_key(P, run.holder), run.id)
    free_slots(P, redis.call('ZREM', leases_key(P), run.id))
end

-- Strike out what a worker is said to hold and does not; `gone` says that there is no readable run.
local function forget_lease(P, worker, id, gone)
    redis.call('SREM', held_key(P, worker), id)
    if gone then
        redis.call('ZREM', runs_key(P), id)
        free_slots(P, redis.call('ZREM', leases_key(P), id))
    end
end

-- End a worker's hold on a run. The token moves on, so nothing that this worker still says of the run is heard; and
-- what it said of this attempt (it has started, a death is its last, others replace it) is no part of the next one.
-- A run that has `begun`, as its worker or the caller says, did so in time: it does not expire between its attempts.
local function release(P, run, begun)
    let_go(P, run)
    if run.expires and (begun or run.started) then
        run.expires = nil
        redis.call('HDEL', run_key(P, run.id), 'expires')
        redis.call('ZREM', expiring_key(P), run.id)
    end
    redis.call('HINCRBY', run_key(P, run.id), 'token', 1)
    redis.call('HDEL', run_key(P, run.id), 'started', 'started_at', 'last', 'replacing')
end
